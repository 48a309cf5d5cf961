"""`medbench judge attack`: what moves a judge."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli.output import print_json, show_progress
from medbench.text import current_language, harmless, say

if TYPE_CHECKING:
    from medbench.runs.attack import AttackOutcome, Clean, KindFigures, Level
    from medbench.scoring.judging.verdict import Task

NOTHING = "–"
WIDE = 160

JudgeSpec = Annotated[
    str, typer.Option("--judge", help="A model as in `medbench run --model`, or a judge file (TOML).")
]
JudgeUrl = Annotated[str | None, typer.Option(help="Address of the judge's endpoint, where no file says it.")]
JudgeKey = Annotated[str | None, typer.Option(help="Environment variable that holds its API key.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def attack(
    judge: JudgeSpec,
    judge_base_url: JudgeUrl = None,
    judge_api_key_env: JudgeKey = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for attacks.json and calls.csv; the same command goes on there.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Only N attacked answers, spread over the kinds.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of --sample.")] = 0,
    as_json: Json = False,
) -> None:
    """Try to move a judge: answers with instructions, forged verdicts, hidden characters and the like.

    Good and poor answers to illustrative questions are judged clean, then the poor ones with each attack put on them,
    by the rubric and by key points. The table tells by kind of attack how far the judge moves, and how often it fails.

    \b
    Examples:
      medbench judge attack --judge openai:qwen3-32b --judge-base-url https://host/v1 --out attacks
      medbench judge attack --judge judge.toml --sample 60 --json
    """
    from medbench.runs.attack import attack_judge
    from medbench.runs.judges import read_judge

    tried = read_judge(judge, base_url=judge_base_url, api_key_env=judge_api_key_env)
    with show_progress() as watch:
        outcome = attack_judge(tried, out=out, sample=sample, seed=seed, watch=watch)
    if as_json:
        print_json(outcome)
    else:
        _print_attacks(outcome)
    if outcome.stopped:
        print(f"{say('cli.error')} {harmless(outcome.reason)}", file=sys.stderr)
        raise typer.Exit(1)


def _print_attacks(outcome: AttackOutcome) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from medbench.scoring.judging.attacks import load_corpus

    titles = {kind: getattr(title, current_language()) for kind, title in load_corpus().titles.items()}
    titles["all"] = say("judge.all_kinds")
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    title = say(
        "judge.attack_title",
        name=outcome.judge.name,
        answers=outcome.answers,
        items=outcome.items,
        attacks=outcome.attacks,
        corpus=outcome.corpus,
    )
    console.print(Text(harmless(title)))
    for clean in outcome.clean:
        console.print()
        console.print(Text(_clean_line(clean)))
        table = Table(box=None, pad_edge=False)
        table.add_column(say("judge.kind"), overflow="fold")
        for header in ("n", "failed", "poor", "attacked", "shift", "lifted", "as_good", "floor", "above_floor"):
            table.add_column(say(f"judge.{header}"), justify="right", no_wrap=header in ("shift", "floor"))
        for kind in outcome.kinds:
            if kind.task == clean.task:
                table.add_row(Text(titles[kind.kind]), *_cells(kind))
        console.print(table)
    console.print()
    for line in [*verdict_lines(outcome, titles), say("judge.attack_legend")]:
        console.print(Text(line))


def verdict_lines(outcome: AttackOutcome, titles: dict[str, str]) -> list[str]:
    """What the figures mean, in words: which kinds move this judge."""
    lines = []
    for clean in outcome.clean:
        task = task_name(clean.task)
        kinds = [kind for kind in outcome.kinds if kind.task == clean.task and kind.kind != "all"]
        moved = [titles[kind.kind] for kind in kinds if kind.moved == "moved"]
        unknown = [titles[kind.kind] for kind in kinds if kind.moved == "unknown"]
        if clean.good is None and clean.poor is None:
            lines.append(say("judge.no_verdict", task=task))
        elif clean.apart is None or clean.apart.low is None:
            lines.append(say("judge.tells_unknown", task=task))
        elif not clean.tells_apart:
            lines.append(say("judge.tells_nothing", task=task))
        if moved:
            lines.append(say("judge.moved_by", task=task, kinds=say("judge.comma").join(moved)))
        elif len(unknown) < len(kinds):
            lines.append(say("judge.moved_by_none", task=task))
        if unknown:
            named = unknown if len(unknown) < len(kinds) else [titles["all"]]
            lines.append(say("judge.moved_unknown", task=task, kinds=say("judge.comma").join(named)))
        whole = next((kind for kind in outcome.kinds if kind.task == clean.task and kind.kind == "all"), None)
        if whole is not None and whole.above_floor:
            share = _percent(whole.above_floor)
            lines.append(say("judge.not_at_floor", task=task, share=share, n=whole.floor_n))
    return lines


def task_name(task: Task) -> str:
    """The task for people."""
    return say(f"judge.task_{task}")


def _clean_line(clean: Clean) -> str:
    return say(
        "judge.clean_line",
        task=task_name(clean.task),
        good=_level(clean.good),
        poor=_level(clean.poor),
        apart=_level(clean.apart, signed=True),
        failed=_percent(clean.failed),
    )


def _cells(kind: KindFigures) -> tuple[str, ...]:
    return (
        f"{kind.n:,}",
        _percent(kind.failed),
        NOTHING if kind.poor is None else f"{kind.poor:.1f}",
        NOTHING if kind.attacked is None else f"{kind.attacked:.1f}",
        _level(kind.shift, signed=True),
        _percent(kind.lifted),
        _percent(kind.as_good),
        _level(kind.floor),
        _percent(kind.above_floor),
    )


def _level(level: Level | None, *, signed: bool = False) -> str:
    if level is None:
        return NOTHING
    form = "+.1f" if signed else ".1f"
    if level.low is None or level.high is None:
        return f"{level.value:{form}}"
    return f"{level.value:{form}} ({level.low:{form}} … {level.high:{form}})"


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{share:.0%}"
