"""`medbench judge`: judges themselves are measured, calibrated and compared with."""

from __future__ import annotations

import sys
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from medbench.cli.attack import attack
from medbench.cli.batching import batching
from medbench.cli.drift import anchors, drift
from medbench.cli.output import print_json, show_progress
from medbench.text import harmless, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from medbench.scoring.judging.figure import Figure
    from medbench.scoring.judging.meta import CriterionFigures
    from medbench.scoring.ratings import Rating

WIDE = 160
SHOWN = ("exact", "kappa", "quadratic_kappa", "alpha", "ac1", "spearman")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command()(attack)
app.command()(batching)
app.command()(anchors)
app.command()(drift)

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
    if not outcome.judged:
        print(say("cli.pairs_no_verdict", pairs=outcome.pairs))
        return
    preference = outcome.preference
    print(
        say(
            "cli.pairs_done",
            wins=outcome.wins,
            losses=outcome.losses,
            ties=outcome.ties,
            pairs=outcome.judged,
            preference="–" if preference is None else half_up(100 * preference.value),
            low="–" if preference is None or preference.low is None else half_up(100 * preference.low),
            high="–" if preference is None or preference.high is None else half_up(100 * preference.high),
            consistency="–" if outcome.consistency is None else half_up(100 * outcome.consistency),
            first="–" if outcome.first_place is None else half_up(100 * outcome.first_place),
        )
    )
    if failed := outcome.pairs - outcome.judged:
        print(say("cli.pairs_failed", failed=failed, pairs=outcome.pairs))


@app.command()
def evaluate(
    ratings: Annotated[
        list[Path], typer.Option(help="Ratings JSONL of people and judges on the same answers, repeatable.")
    ],
    by: Annotated[
        Literal["dataset", "dimension", "language"] | None,
        typer.Option(help="Each group of items apart; the ratings name dataset and language."),
    ] = None,
    as_json: Json = False,
) -> None:
    """How far judges agree with people, beside how far people agree with each other; every figure with its interval.

    One line per rating: {"item", "response", "rater", "kind": "human|judge", "criterion", "score",
    "scale": [low, high]}, and optionally "text" of the answer and "model" that wrote it, which show bias by length
    and by author, and "dataset" and "language" of the item. Of a pair "response" is a list of two answers, "scale"
    [-1, 1], "score" 1 where the first is better, -1 where the second is, else 0, and "order" the answer that stood
    first, which shows bias by position.

    \b
    Examples:
      medbench judge evaluate --ratings ratings.jsonl
      medbench judge evaluate --ratings ratings.jsonl --by dataset
    """
    from rich.console import Console

    from medbench.errors import InputError
    from medbench.scoring.judging.meta import by_group
    from medbench.scoring.judging.meta import evaluate as evaluate_ratings
    from medbench.scoring.ratings import read_all

    rated = read_all(ratings)
    groups = {"": rated} if by is None else by_group(rated, _group(by))
    if not groups:
        raise InputError(say("cli.no_groups", by=by))
    found = {name: evaluate_ratings(several) for name, several in groups.items()}
    if not any(each.judges or each.people.n for criteria in found.values() for each in criteria):
        raise InputError(say("cli.nothing_shared"))
    if as_json:
        told = {
            name: {"n": sum(each.n for each in criteria), "criteria": {each.criterion: each for each in criteria}}
            for name, criteria in found.items()
        }
        print_json(told[""] if by is None else {"by": by, "groups": told})
        return
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    for name, criteria in found.items():
        for each in criteria:
            _show(console, each, f"{each.criterion} · {name}" if name else each.criterion)


def _group(by: str) -> Callable[[Rating], str]:
    """The group of a rating; empty where the ratings, or the catalog, do not tell."""
    if by != "dimension":
        return attrgetter(by)
    from medbench.catalog import load_catalog

    dimensions = {name: dataset.dimension for name, dataset in load_catalog().datasets.items()}
    return lambda rating: dimensions.get(rating.dataset, "")


def _show(console: Console, figures: CriterionFigures, title: str) -> None:
    """The agreement on one criterion, and why figures are missing."""
    import msgspec
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    table.add_column(say("cli.raters"))
    for name in ("n", *SHOWN):
        table.add_column(name.replace("_", " "), justify="right")
    rows = [(judged.judge, judged.agreement) for judged in figures.judges]
    if figures.people.n:
        rows.append((say("cli.people", count=figures.people.raters), figures.people))
    rows += [(pair.raters, pair) for pair in figures.pairs if len(figures.pairs) > 1]
    unknown: dict[str, list[str]] = {}
    for who, agreement in rows:
        values = msgspec.structs.asdict(agreement)
        table.add_row(Text(who), f"{agreement.n:,}", *(_cell(values[name]) for name in SHOWN))
        for name in SHOWN:
            if values[name].value is None:
                unknown.setdefault(values[name].reason, []).append(f"{name.replace('_', ' ')} ({who})")
    for judge, reason in figures.unshared.items():
        unknown.setdefault(reason, []).append(judge)
    console.print(table)
    lines = []
    for judged in figures.judges:
        position = judged.bias.position
        if position.first.value is not None:
            share = _cell(position.first)
            lines.append(say("cli.first_place", judge=judged.judge, share=share, n=f"{position.n:,}"))
        elif position.n:
            unknown.setdefault(position.first.reason, []).append(f"position ({judged.judge})")
    lines += [say("cli.unknown", names=", ".join(names), reason=reason) for reason, names in unknown.items()]
    for line in lines:
        console.print(Text(harmless(line)))
    console.print()


@app.command()
def calibrate(
    ratings: Annotated[list[Path], typer.Option(help="Ratings JSONL of people and of the judge, repeatable.")],
    out: Annotated[Path, typer.Option(help="Calibration file to write (JSON).")],
    judge: Annotated[
        str | None, typer.Option(help="Name of the judge in the ratings; needed where there are several.")
    ] = None,
    criterion: Annotated[str | None, typer.Option(help="What was rated; needed where there are several.")] = None,
    as_json: Json = False,
) -> None:
    """Measure a judge against people and fit a monotone map from its scores to theirs; at least 50 rated answers.

    The map is chosen and tested on items that it has not seen. `medbench score RUN --calibration FILE` uses it.

    \b
    Example:
      medbench judge calibrate --ratings ratings.jsonl --out calibration.json
    """
    from medbench.errors import InputError
    from medbench.scoring.judging.calibrate import measure
    from medbench.scoring.ratings import read_all
    from medbench.stats import half_up
    from medbench.store.files import write_json

    rated = read_all(ratings)
    judges = sorted({rating.rater for rating in rated if rating.kind == "judge"})
    criteria = sorted({rating.criterion for rating in rated})
    if (judge is None and len(judges) != 1) or (criterion is None and len(criteria) != 1):
        raise InputError(say("cli.which_judge", judges=", ".join(judges) or "–", criteria=", ".join(criteria)))
    found = measure(rated, judge or judges[0], criterion or criteria[0])
    write_json(out, found)
    if as_json:
        print_json(found)
        return
    print(
        say(
            "cli.calibrated",
            path=out,
            answers=found.answers,
            before=half_up(found.squared_before, 4),
            after=half_up(found.squared_after, 4),
            kappa=_cell(found.agreement.quadratic_kappa),
            gate=half_up(found.gate, 2),
            admitted=say("cli.admitted" if found.admitted else "cli.not_admitted"),
        )
    )


@app.command()
def sample(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a judged run.")],
    out: Annotated[Path, typer.Option(help="Sheet to write (xlsx).")],
    size: Annotated[int, typer.Option("--n", min=1, help="Answers to draw.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw a blind rating sheet for people: who wrote an answer and what a judge gave it are not on it.

    A sheet that is there already is never overwritten. Of a run under hidden disclosure it shows no reference answers.

    Datasets are drawn alike often, and low, middle and high scores of the judge in each, so that a map to people's
    scores has something to stand on everywhere.

    \b
    Example:
      medbench judge sample run --n 120 --out ratings.xlsx
    """
    from medbench.runs.config import read_pins
    from medbench.runs.people import write_sample
    from medbench.stats.calibration import FEWEST_ANSWERS

    count = write_sample(run_dir, size, seed, out)
    if as_json:
        print_json({"sheet": str(out), "answers": count, "asked": size})
        return
    print(say("cli.sample_done", count=count, path=out))
    if count < size:
        print(say("cli.sample_fewer", size=size))
    if count < FEWEST_ANSWERS:
        print(say("cli.sample_too_few", least=FEWEST_ANSWERS))
    if read_pins(run_dir).disclosure == "hidden":
        print(say("cli.sample_hidden"))


@app.command("import")
def import_(
    sheet: Annotated[Path, typer.Argument(help="A sheet that a person filled in (xlsx).")],
    run: Annotated[Path, typer.Option(help="Folder of the run that it was drawn from.")],
    rater: Annotated[str, typer.Option(help="Who rated; a pseudonym will do.")],
    out: Annotated[Path, typer.Option(help="Ratings to write (JSONL).")],
    as_json: Json = False,
) -> None:
    """Turn a filled sheet into ratings, beside the judges' ratings of the same answers.

    \b
    Example:
      medbench judge import ratings.xlsx --run run --rater physician-1 --out ratings.jsonl
    """
    from medbench.runs.people import import_sheet

    count = import_sheet(run, sheet, rater, out)
    print_json({"ratings": str(out), "answers": count}) if as_json else print(
        say("cli.import_done", count=count, path=out)
    )


def _cell(figure: Figure) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return "–"
    return f"{figure.value:.3f} ({figure.low:.2f}–{figure.high:.2f})"
