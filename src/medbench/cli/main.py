"""`medbench`: the command line."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from medbench import __version__
from medbench.cli import agent, board, catalog, compare, demo, environment, export, items, judge, report, run, suite
from medbench.errors import InputError, WorkError
from medbench.text import LANGUAGES, Language, current_language, harmless, say, set_language

INTERRUPTED = 130

app = typer.Typer(
    name="medbench",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    lang: Annotated[str | None, typer.Option(help="Language of messages: en or zh. Default: by the locale.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Evaluate medical AI: items in, a report that can be audited out.

    \b
    Begin with:
      medbench demo --out demo
      medbench run --items items.jsonl --model openai:NAME --base-url URL --out run
    """
    set_language(_language(lang))


app.add_typer(catalog.app, name="catalog", help="What is measured: datasets and specialties.")
app.add_typer(items.app, name="items", help="Check and import items.")
app.add_typer(export.app, name="export", help="Write submission packages.")
app.add_typer(board.app, name="board", help="Aggregate scores.")
app.add_typer(environment.app, name="environment")
app.add_typer(agent.app, name="agent")
app.add_typer(judge.app, name="judge", help="Measure judges, and compare with them.")
app.command()(demo.demo)
app.command()(run.run)
app.command()(run.resume)
app.command()(run.status)
app.command()(run.score)
app.command()(report.report)
app.command()(compare.compare)
app.command()(suite.suite)


def main() -> None:
    """Run the command line; exit 0 on success, 2 on wrong input, 1 on a failure during work."""
    # Requests and rows make many small objects and hardly a cycle: looking for cycles so often took an eighth of a run.
    gc.set_threshold(50_000, 20, 20)
    try:
        # Typer refuses wrong usage, and writes help, before it comes to --lang. A wrong --lang is told by the locale.
        set_language(_language(None))
        set_language(_language(_asked(sys.argv[1:])))
        if current_language() == "zh":
            from medbench.cli import chinese

            chinese.run(app)
        else:
            app()
    except SystemExit as end:
        # Typer's way to say that Ctrl-C ended a command; while a model is asked, the run ends in order by itself.
        if end.code != INTERRUPTED:
            raise
        print(f"\n{say('cli.interrupted')}", file=sys.stderr)
        sys.exit(1)
    except InputError as error:
        for problem in error.problems:
            kind = say("cli.warning" if problem.severity == "warning" else "cli.error")
            print(f"{kind} {harmless(problem)}", file=sys.stderr)
        sys.exit(2)
    except WorkError as error:
        print(f"{say('cli.error')} {harmless(error)}", file=sys.stderr)
        sys.exit(1)


def _asked(arguments: Sequence[str]) -> str | None:
    """What `--lang` before the command says."""
    asked = None
    rest = iter(arguments)
    for argument in rest:
        if argument == "--lang":
            asked = next(rest, asked)
        elif argument.startswith("--lang="):
            asked = argument.removeprefix("--lang=")
        elif not argument.startswith("-"):
            break
    return asked


def _language(asked: str | None) -> Language:
    if asked is not None:
        for language in LANGUAGES:
            if asked == language:
                return language
        raise InputError(say("cli.bad_language", asked=asked))
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"
