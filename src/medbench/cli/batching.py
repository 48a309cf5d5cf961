"""`medbench judge batching`: whether statements judged in one call get the verdicts that they get one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli.output import print_json, show_progress
from medbench.text import harmless, say

if TYPE_CHECKING:
    from medbench.runs.batching import BatchingOutcome
    from medbench.scoring.judging.batching import TaskFigures
    from medbench.scoring.judging.figure import Figure

NOTHING = "–"


def batching(
    judge: Annotated[str, typer.Option("--judge", help="A model as in medbench run --model, or a judge file (TOML).")],
    out: Annotated[Path, typer.Option(help="Folder of the comparison; the same command goes on there.")],
    run: Annotated[
        Path | None, typer.Option(help="Folder of a run whose answers are judged; default: a bundled sample.")
    ] = None,
    size: Annotated[int, typer.Option("--n", min=2, help="Most answers.")] = 100,
    judge_base_url: Annotated[str | None, typer.Option(help="Address of the judge's endpoint.")] = None,
    judge_api_key_env: Annotated[str | None, typer.Option(help="Environment variable that holds its API key.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Compare key points and criteria judged in one call with the same ones judged one by one.

    One call is cheaper; whether it gives the same verdicts depends on the judge. Agreement, kappa and the difference
    of the scores come with their intervals.

    \b
    Examples:
      medbench judge batching --judge judge.toml --out batching
      medbench judge batching --judge judge.toml --run run --n 200 --out batching
    """
    from medbench.runs.batching import compare_batching
    from medbench.runs.judges import read_judge

    asked = read_judge(judge, base_url=judge_base_url, api_key_env=judge_api_key_env)
    with show_progress() as watch:
        outcome = compare_batching(asked, out, run_dir=run, size=size, watch=watch)
    print_json(outcome) if as_json else _print(outcome)


def _print(outcome: BatchingOutcome) -> None:
    title = say(
        "judge.batching_title",
        name=outcome.judge.name,
        calls=outcome.calls,
        together=f"{outcome.tokens_together:,}",
        apart=f"{outcome.tokens_apart:,}",
    )
    print(harmless(title))
    for figures in outcome.tasks:
        print("\n".join(_lines(figures)))


def _lines(figures: TaskFigures) -> list[str]:
    from medbench.scoring.judging.batching import MARGIN

    lines = [
        say(
            "judge.batching_task",
            task=say(f"judge.task_{figures.task}"),
            statements=figures.statements,
            answers=figures.answers,
            items=figures.items,
            failed_together=f"{figures.failed_together:.0%}",
            failed_apart=f"{figures.failed_apart:.0%}",
        )
    ]
    if not figures.n:
        return [*lines, say("judge.batching_none")]
    lines.append(
        say(
            "judge.batching_agreement",
            agreement=_shown(figures.agreement),
            n=figures.n,
            kappa=_shown(figures.kappa),
            verdicts=say("judge.comma").join(f"{name} {count}" for name, count in figures.verdicts.items()),
        )
    )
    if figures.scored:
        lines.append(
            say(
                "judge.batching_scores",
                together=f"{figures.score_together:.2f}",
                apart=f"{figures.score_apart:.2f}",
                scored=figures.scored,
                difference=_shown(figures.difference),
                standing=say(f"judge.batching_{figures.standing}", margin=MARGIN),
            )
        )
    return lines


def _shown(figure: Figure) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return f"{NOTHING} ({figure.reason})"
    return f"{figure.value:.2f} ({figure.low:.2f} … {figure.high:.2f})"
