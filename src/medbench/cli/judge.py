"""`medbench judge`: judges themselves are measured, calibrated and compared with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli.output import print_json, show_progress
from medbench.text import say

if TYPE_CHECKING:
    from medbench.scoring.judging.meta import Figure

WIDE = 160
SHOWN = ("exact", "kappa", "quadratic_kappa", "alpha", "ac1", "spearman")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

JudgeSpec = Annotated[str, typer.Option("--judge", help="A model as in medbench run --model, or a judge file (TOML).")]
BaseUrl = Annotated[str | None, typer.Option("--judge-base-url", help="Address of the judge's endpoint.")]
ApiKey = Annotated[str | None, typer.Option("--judge-api-key-env", help="Environment variable that holds its API key.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@app.command()
def pairs(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of a run over the same items.")],
    judge: JudgeSpec,
    out: Annotated[Path, typer.Option(help="Folder of the comparison; made if absent.")],
    judge_base_url: BaseUrl = None,
    judge_api_key_env: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Let a judge say which run's open answers are better; each pair is asked in both orders.

    Safe to interrupt: the same command goes on. A pair is a win only where both orders agree.

    \b
    Example:
      medbench judge pairs run-a run-b --judge judge.toml --out pairs
    """
    from medbench.runs.judges import read_judge
    from medbench.runs.pairs import judge_pairs
    from medbench.stats import half_up

    asked = read_judge(judge, base_url=judge_base_url, api_key_env=judge_api_key_env)
    with show_progress() as watch:
        outcome = judge_pairs(run_a, run_b, asked, out, watch=watch)
    if as_json:
        print_json(outcome)
        return
    preference = outcome.preference
    print(
        say(
            "cli.pairs_done",
            wins=outcome.wins,
            losses=outcome.losses,
            ties=outcome.ties,
            pairs=outcome.pairs,
            preference="–" if preference is None else half_up(100 * preference.value),
            low="–" if preference is None or preference.low is None else half_up(100 * preference.low),
            high="–" if preference is None or preference.high is None else half_up(100 * preference.high),
            consistency="–" if outcome.consistency is None else half_up(100 * outcome.consistency),
            first="–" if outcome.first_place is None else half_up(100 * outcome.first_place),
        )
    )


@app.command()
def evaluate(
    ratings: Annotated[Path, typer.Option(help="Ratings JSONL: people's and judges' ratings of the same answers.")],
    as_json: Json = False,
) -> None:
    """How far judges agree with people, beside how far people agree with each other; every figure with its interval.

    One line per rating: {"item", "response", "rater", "kind": "human|judge", "criterion", "score",
    "scale": [low, high]}, and optionally "text" of the answer and "model" that wrote it, which show bias by length
    and by author.

    \b
    Example:
      medbench judge evaluate --ratings ratings.jsonl
    """
    import msgspec

    from medbench.scoring.judging.meta import evaluate as evaluate_ratings
    from medbench.scoring.ratings import read_ratings

    found = evaluate_ratings(read_ratings(ratings))
    if as_json:
        print_json({"n": sum(each.n for each in found), "criteria": {each.criterion: each for each in found}})
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    for each in found:
        table = Table(title=Text(each.criterion), title_justify="left", box=None, pad_edge=False)
        table.add_column(say("cli.raters"))
        for name in ("n", *SHOWN):
            table.add_column(name.replace("_", " "), justify="right")
        rows = [(judged.judge, judged.agreement) for judged in each.judges]
        if each.people.n:
            rows.append((say("cli.people", count=each.people.raters), each.people))
        rows += [(pair.raters, pair) for pair in each.pairs if len(each.pairs) > 1]
        for who, agreement in rows:
            values = msgspec.structs.asdict(agreement)
            table.add_row(Text(who), f"{agreement.n:,}", *(_cell(values[name]) for name in SHOWN))
        console.print(table)
        console.print()


def _cell(figure: Figure) -> str:
    if figure.value is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.2f}–{figure.high:.2f})"
