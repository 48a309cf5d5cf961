"""`agcrc phantom`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from agcrc.cli.output import Json, print_json, progress, say


def phantom(
    out: Annotated[Path, typer.Option(help="Dataset folder; made if absent, added to if it is a phantom's.")],
    tier: Annotated[Literal["smoke", "cpu", "gpu"], typer.Option(help="Size: 6, 4 or 2 mm voxels.")] = "cpu",
    cases: Annotated[int, typer.Option(min=1, help="Number of cases.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first case; the others count on from it.")] = 1000,
    test: Annotated[bool, typer.Option("--test", help="Write test cases (imagesTs, …) instead of training.")] = False,
    as_json: Json = False,
) -> None:
    """Make simulated abdominal CTs with colon, lesions, distractors and imperfect organ masks.

    They show that mechanisms work as coded. They say nothing about clinical performance.

    \b
    Examples:
      agcrc phantom --out data --tier smoke --cases 4
      agcrc phantom --out data --tier cpu --cases 12 --seed 1900 --test
    """
    from agcrc.phantom import PhantomSettings, tier_named, write_dataset

    with progress("phantom") as advance:
        write_dataset(
            out,
            PhantomSettings(tier_named(tier)),
            cases=cases,
            seed=seed,
            split="Ts" if test else "Tr",
            progress=advance,
        )
    if as_json:
        print_json({"data": str(out), "tier": tier, "cases": cases, "seed": seed, "split": "Ts" if test else "Tr"})
    else:
        say(f"{cases} simulated cases in {out}; look at {out / 'contact_sheet.png'}")
