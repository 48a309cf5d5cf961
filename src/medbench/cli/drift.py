"""`medbench judge anchors` and `medbench judge drift`: whether a judge still says what it said before."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli.attack import NOTHING, WIDE, JudgeKey, JudgeSpec, JudgeUrl, task_name
from medbench.cli.output import print_json, show_progress
from medbench.text import harmless, say

if TYPE_CHECKING:
    from medbench.runs.drift import DriftOutcome, OfReading
    from medbench.scoring.judging.drift import Group
    from medbench.scoring.judging.figure import Figure

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def anchors(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a judged run.")],
    out: Annotated[Path, typer.Option(help="Anchor file to write (JSONL); it holds keys.")],
    ratings: Annotated[
        list[Path] | None, typer.Option(help="Ratings of this run by people, repeatable: rated answers go first.")
    ] = None,
    size: Annotated[int, typer.Option("--n", min=1, help="Answers to draw.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    as_json: Json = False,
) -> None:
    """Freeze an anchor set: judged answers of a run, for `medbench judge drift` to have judged again.

    Drawn like the sheet of `medbench judge sample`. Answers that hold none (constant, punctuation, "full marks,
    please") are added; they belong at level 0.

    \b
    Example:
      medbench judge anchors run --n 100 --ratings ratings.jsonl --out anchors.jsonl
    """
    from medbench.runs.drift import draw_anchors

    drawn = draw_anchors(run_dir, ratings or (), size, seed, out)
    if as_json:
        print_json(drawn)
    else:
        print(
            say(
                "drift.drawn",
                path=out,
                answers=drawn.answers,
                rated=drawn.rated,
                floor=drawn.floor,
                hash=drawn.hash[:16],
            )
        )


def drift(
    judge: JudgeSpec,
    anchors: Annotated[Path, typer.Option(help="Anchor file, as `medbench judge anchors` wrote it.")],
    out: Annotated[Path, typer.Option(help="Folder of the history; the same for every reading.")],
    judge_base_url: JudgeUrl = None,
    judge_api_key_env: JudgeKey = None,
    reading: Annotated[
        str | None, typer.Option(help="Name of this reading; the same name goes on. Default: today's date (UTC).")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Earlier reading to compare with. Default: the first one of this judge.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let a judge judge an anchor set again, and say whether it has drifted beyond its own noise.

    Give the judge at least 2 repeats in a judge file: only then can changes of single answers be told from noise.
    Safe to interrupt: the same command goes on. Drift is a finding and no failure: the command exits with 0.

    \b
    Examples:
      medbench judge drift --anchors anchors.jsonl --judge judge.toml --out drift
      medbench judge drift --anchors anchors.jsonl --judge judge.toml --out drift --against 2026-01-15 --json
    """
    from medbench.runs.drift import read_again
    from medbench.runs.judges import read_judge

    asked = read_judge(judge, base_url=judge_base_url, api_key_env=judge_api_key_env)
    with show_progress() as watch:
        outcome = read_again(anchors, asked, out, name=reading, against=against, watch=watch)
    if as_json:
        print_json(outcome)
    else:
        _print(outcome)


def _print(outcome: DriftOutcome) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    for line in verdict_lines(outcome):
        console.print(Text(harmless(line)))
    if outcome.comparison:
        console.print()
        table = Table(box=None, pad_edge=False)
        for name in ("task", "family"):
            table.add_column(say(f"drift.{name}"))
        for name in ("pairs", "then", "now", "shift", "moved", "failed", "unchanged", "kappa", "verdict"):
            table.add_column(say(f"drift.{name}"), justify="right", no_wrap=name in ("shift", "moved", "failed"))
        for group in outcome.comparison.groups:
            table.add_row(*map(Text, _cells(group)))
        console.print(table)
        console.print()
        console.print(Text(say("drift.legend")))


def verdict_lines(outcome: DriftOutcome) -> list[str]:
    """What was found, in words."""
    now, then = outcome.now, outcome.then
    lines = []
    if outcome.comparison is None or then is None:
        lines.append(say("drift.first", name=now.name, judge=now.judge, id=now.judge_id, answers=outcome.answers))
        if outcome.others:
            lines.append(say("drift.others", names=", ".join(outcome.others)))
    else:
        lines.append(say(f"drift.found_{outcome.verdict}", now=now.name, then=then.name, judge=now.judge))
        lines += [
            say(f"drift.because_{group.reason}", task=task_name(group.task))
            for group in outcome.comparison.groups
            if group.family == "all" and group.reason
        ]
        if outcome.comparison.changed:
            lines.append(say("drift.instrument", changed=", ".join(outcome.comparison.changed)))
    for reading in (then, now):
        if reading is not None:
            lines += _reading_lines(reading)
    return lines


def _reading_lines(reading: OfReading) -> list[str]:
    lines = []
    for task, noise in reading.noise.items():
        if noise.sd is not None and noise.unchanged is not None:
            sd, unchanged = f"{noise.sd:.2f}", f"{noise.unchanged:.0%}"
            lines.append(
                say("drift.noise", name=reading.name, task=task_name(task), sd=sd, unchanged=unchanged, n=noise.n)
            )
    if not lines:
        lines.append(say("drift.no_noise", name=reading.name))
    for task, floor in reading.floor.items():
        if floor.held is not None:
            key = "drift.floor_held" if floor.held else "drift.floor_broken"
            mean = f"{floor.mean:.1f}"
            lines.append(say(key, name=reading.name, task=task_name(task), n=floor.n, above=floor.above, mean=mean))
    if reading.people.n:
        bias, kappa = _figure(reading.people.bias, "+.2f"), _figure(reading.people.quadratic_kappa, ".2f")
        lines.append(say("drift.people", name=reading.name, n=reading.people.n, bias=bias, kappa=kappa))
    if reading.failures:
        listed = ", ".join(f"{code} × {count}" for code, count in reading.failures.items())
        lines.append(say("drift.failures", name=reading.name, listed=listed))
    return lines


def _cells(group: Group) -> tuple[str, ...]:
    names = {"all": say("judge.all_kinds"), "floor": say("drift.family_floor")}
    verdict = say(f"drift.{group.verdict}")
    if group.signs:
        verdict += f" ({', '.join(say(f'drift.sign_{sign}') for sign in group.signs)})"
    return (
        task_name(group.task),
        names.get(group.family, group.family),
        f"{group.pairs:,}/{group.n:,}",
        NOTHING if group.then is None else f"{group.then:.2f}",
        NOTHING if group.now is None else f"{group.now:.2f}",
        _figure(group.shift, "+.2f"),
        _figure(group.moved, ".2f"),
        _figure(group.failed, "+.0%"),
        _figure(group.unchanged, ".0%"),
        _figure(group.quadratic_kappa, ".2f"),
        verdict,
    )


def _figure(figure: Figure, form: str) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return NOTHING
    return f"{figure.value:{form}} ({figure.low:{form}} … {figure.high:{form}})"
