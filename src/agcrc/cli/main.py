"""`agcrc`: the command line."""

from __future__ import annotations

import os
import sys
from importlib import util
from typing import Annotated

import typer

from agcrc.cli import anatomy, demo, evaluate, items, phantom, predict, prepare, sampling, train
from agcrc.cli.output import say
from agcrc.errors import InputError, WorkError

NEEDED = {"torch": "torch", "nibabel": "nibabel", "skimage": "scikit-image", "matplotlib": "matplotlib"}

app = typer.Typer(
    name="agcrc",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(version("medbench"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Segment colorectal cancer in CT, guided by organ masks.

    \b
    Your first model, in five commands:
      agcrc phantom --out data --tier cpu --cases 24 --seed 1000
      agcrc phantom --out data --tier cpu --cases 12 --seed 1900 --test
      agcrc train --data data --out run
      agcrc predict --model run --data data --out predictions
      agcrc evaluate --pred predictions --truth data/labelsTs --organs data/organsTs --out report
    """
    missing = [package for module, package in NEEDED.items() if util.find_spec(module) is None]
    if missing:
        raise InputError(f"not installed: {', '.join(missing)}. pip install 'medbench[imaging]'")


app.command()(phantom.phantom)
app.add_typer(prepare.app, name="prepare", help="Bring data sets of others into a dataset folder.")
app.command()(anatomy.mos)
app.command()(anatomy.ooi)
app.add_typer(sampling.app, name="sampling", help="Where patches are drawn.")
app.command()(train.train)
app.command()(predict.predict)
app.command()(evaluate.evaluate)
app.command()(items.items)
app.command()(demo.demo)


def main() -> None:
    """Run the command line; exit 0 on success, 2 on wrong input, 1 on a failure during work."""
    # Read when torch is loaded. Threads that wait for one another spin by default: beside any other work, steps of the
    # network then take three times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except InputError as error:
        for problem in error.problems:
            say(f"Error: {problem}")
        sys.exit(2)
    except WorkError as error:
        say(f"Error: {error}")
        sys.exit(1)
