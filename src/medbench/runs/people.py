"""People rate answers of a run: a blind sheet is drawn, and what they wrote comes back as ratings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from medbench.engine.ledger import Ledger
from medbench.errors import InputError, Problem
from medbench.runs.config import read_pins
from medbench.runs.execute import LEDGER_FILE, open_pinned
from medbench.runs.plan import asked
from medbench.runs.results import answered, panel_of
from medbench.scoring.judging.answers import CRITERION, judged_answers
from medbench.scoring.judging.sheet import SCALE, Drawn, draw, read_sheet, write_sheet
from medbench.scoring.ratings import Rating, write_ratings
from medbench.text import say


def write_sample(run_dir: Path, size: int, seed: int, out: Path) -> int:
    """Draw a stratified blind sheet of judged answers; returns how many.

    Raises:
        InputError: The run has no judged answers.
        WorkError: The sheet can't be written.
    """
    drawn = draw((answer for answer, _ in judged(run_dir)), size, seed)
    if not drawn:
        raise InputError(say("runs.nothing_judged", path=run_dir))
    write_sheet(out, drawn)
    return len(drawn)


def import_sheet(run_dir: Path, sheet: Path, rater: str, out: Path) -> int:
    """Turn a filled sheet into ratings, with the judges' ratings of the same answers; returns how many were rated.

    Raises:
        InputError: The sheet is wrong, or not of this run.
    """
    scores = read_sheet(sheet)
    ratings: list[Rating] = []
    found: set[str] = set()
    low, high = SCALE
    for answer, judges in judged(run_dir):
        if answer.code in scores:
            found.add(answer.code)
            ratings.append(
                Rating(
                    *(answer.item, answer.response, rater, "human", CRITERION),
                    score=float(scores[answer.code]),
                    scale=(float(low), float(high)),
                    text=answer.answer,
                )
            )
            ratings += judges
    unknown = sorted(scores.keys() - found)
    if unknown or not found:
        message = say("runs.sheet_of_other_run", count=len(unknown), path=run_dir)
        raise InputError(Problem(message=message, file=str(sheet)))
    write_ratings(out, ratings)
    return len(found)


def judged(run_dir: Path) -> Iterator[tuple[Drawn, list[Rating]]]:
    """Every answer of a run that its judges rated by a rubric, with each judge's rating."""
    pins = read_pins(run_dir)
    source = open_pinned(pins)
    folder = Path(pins.catalog_folder) if pins.catalog_folder else None
    with ExitStack() as files:
        ledger = files.enter_context(closing(Ledger(run_dir / LEDGER_FILE, read_only=True)))
        panel = panel_of(run_dir, pins, ledger, files)
        if panel is None:
            return
        plan = asked(source, pins.selection)
        yield from judged_answers(Path(pins.items), folder, answered(plan, ledger), panel, pins.config_hash()[:8])
