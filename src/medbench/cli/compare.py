"""`medbench compare`: two runs over the same items."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli.output import print_json
from medbench.text import current_language, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from medbench.board.checks import CheckComparison
    from medbench.board.compare import Comparison, DatasetComparison
    from medbench.board.controls import Gap, PictureEffects
    from medbench.board.effects import Effect
    from medbench.board.people import PeopleComparison, Points
    from medbench.board.ranking import PassFigure, Ranking, Standing
    from medbench.catalog.model import Bilingual

NOTHING = "–"
WIDE = 120
BAR = 31


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a scored run.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of a scored run over the same items.")],
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN]...", help="Further runs: all are then ranked.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Compare two models item by item: difference A − B with its interval, per dataset, dimension and overall.

    With three or more runs: scores on the items that all of them answered, and ranks with their intervals. With a run
    and its own media controls: what the pictures add.

    \b
    Examples:
      medbench compare run-qwen run-llama
      medbench compare run-qwen run-llama run-mistral
      medbench compare run run-removed run-swapped
    """
    from medbench.board.controls import has_controls, picture_effects

    others = [run_b, *(more or [])]
    if has_controls(run_a, others):
        effects = picture_effects(run_a, others)
        print_json(effects) if as_json else _print_effects(effects)
        return
    if more:
        from medbench.board.ranking import rank

        ranking = rank([run_a, run_b, *more])
        print_json(ranking) if as_json else _print_ranking(ranking)
        return
    from medbench.board.compare import compare as compute

    comparison = compute(run_a, run_b)
    if as_json:
        print_json(comparison)
    else:
        _print(comparison)


def _print(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A file or a pipe has no width to fit into; the tables below then stand on one line per row.
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    first, second = (_named(side.model, side.run_dir) for side in (comparison.a, comparison.b))
    console.print(Text(say("compare.title", first=first, second=second, items=f"{comparison.items:,}")))
    console.print()

    table = Table(box=None, pad_edge=False)
    table.add_column(say("compare.dataset"), overflow="fold")
    for header in ("items", "a", "b", "difference", "p_holm", "mcnemar", "mde"):
        table.add_column(say(f"compare.{header}"), justify="right", no_wrap=header == "difference")
    for dataset in comparison.datasets:
        name = dataset.name if dataset.whole else f"{dataset.name} *"
        cells = [f"{dataset.n:,}", _number(dataset.a), _number(dataset.b), _gap(dataset)]
        table.add_row(Text(name), *cells, _p(dataset.p_holm), _mcnemar(dataset), _number(dataset.mde))
    if comparison.datasets:
        console.print(table)
        console.print()

    if comparison.overall:
        table = Table(box=None, pad_edge=False)
        table.add_column(say("compare.dimension"), overflow="fold")
        for header in ("difference", "p", "mde"):
            table.add_column(say(f"compare.{header}"), justify="right", no_wrap=header == "difference")
        for dimension in comparison.dimensions:
            table.add_row(Text(getattr(dimension.title, current_language())), *_effect(dimension))
        table.add_row(Text(say("compare.overall"), style="bold"), *_effect(comparison.overall))
        console.print(table)
        console.print()
    if comparison.checks:
        console.print(_checks(comparison.checks))
        console.print(Text(say("compare.checks_legend")))
        console.print()
    if comparison.epochs > 1:
        console.print(_pass_table(comparison))
        console.print()
    console.print(_costs(comparison))
    console.print()
    if comparison.people:
        console.print(_people(comparison.people))
        console.print(Text(say("compare.people_legend")))
        console.print()
    for line in _lines(comparison):
        console.print(Text(line))


def _pass_table(comparison: Comparison) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column(say("compare.dataset"), overflow="fold")
    for name in (f"pass@{comparison.epochs}", f"pass^{comparison.epochs}"):
        table.add_column(f"{name} {say('compare.a')}", justify="right")
        table.add_column(say("compare.b"), justify="right")
        table.add_column(say("compare.difference"), justify="right", no_wrap=True)
    for dataset in comparison.datasets:
        cells: list[str] = []
        for each in (dataset.pass_at_k, dataset.pass_all_k):
            cells += [NOTHING] * 3 if each is None else [_number(each.a), _number(each.b), _gap(each)]
        table.add_row(Text(dataset.name), *cells)
    cells = []
    for overall in (comparison.pass_at_k, comparison.pass_all_k):
        cells += ["", "", NOTHING if overall is None else _gap(overall)]
    table.add_row(Text(say("compare.overall"), style="bold"), *cells)
    return table


def _checks(checks: Sequence[CheckComparison]) -> Table:
    """What running the answers showed."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column(say("report.checks"), overflow="fold")
    for header in ("items", "a", "b", "difference", "p", "mde"):
        table.add_column(say(f"compare.{header}"), justify="right", no_wrap=header == "difference")
    for check in checks:
        table.add_row(Text(check.name))
        for name, figure in (("check_covered", check.covered), ("check_passed", check.passed)):
            cells = (
                ["0"] if figure is None else [f"{figure.n:,}", _number(figure.a), _number(figure.b), *_effect(figure)]
            )
            table.add_row(Text(f"  {say(f'report.{name}')}"), *cells)
    return table


def _costs(comparison: Comparison) -> Table:
    """What the answers of either run took."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column(say("compare.cost"))
    for header in ("answers", "calls", "input_tokens", "output_tokens", "median_s", "refusals"):
        table.add_column(say(f"compare.{header}"), justify="right")
    for name, side in (("a", comparison.a), ("b", comparison.b)):
        cost = side.cost
        counts = (cost.answers, cost.calls, cost.input_tokens, cost.output_tokens)
        cells = [*(f"{count:,}" for count in counts), _number(cost.median_s), f"{cost.refusals:,}"]
        table.add_row(Text(say(f"compare.{name}")), *cells)
    return table


def _people(people: Sequence[PeopleComparison]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column(say("compare.dataset"), overflow="fold")
    for header in ("rated", "people", "ratings_alone", "judge_alone", "lambda"):
        table.add_column(say(f"compare.{header}"), justify="right")
    for each in people:
        rated = " : ".join(f"{n:,} / {judged:,}" for n, judged in zip(each.n, each.judged, strict=True))
        if each.people is None or each.labels is None or each.judge is None:
            table.add_row(Text(each.name), rated, say(f"compare.why_{each.reason}"))
            continue
        weights = " : ".join(str(_rounded(weight, 2)) for weight in each.weights)
        table.add_row(Text(each.name), rated, *map(_gap, (each.people, each.labels, each.judge)), weights)
    return table


def _print_ranking(ranking: Ranking) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from medbench.board.compare import judges_text

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    table = Table(box=None, pad_edge=False)
    table.add_column(say("compare.rank"), justify="right", no_wrap=True)
    table.add_column(say("compare.model"), overflow="fold")
    table.add_column(say("compare.score"), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in ("pass@", "pass^") if ranking.epochs > 1 else ():
        table.add_column(f"{name}{ranking.epochs}", justify="right", no_wrap=True)
    table.add_column(say("compare.coverage"), justify="right")
    low = min(each.low for each in ranking.standings)
    high = max(each.high for each in ranking.standings)
    for each in ranking.standings:
        place = f"{each.rank} ({each.rank_low}–{each.rank_high})"
        if each.rank_low == each.rank_high:
            place = f"{each.rank}"
        table.add_row(
            place if each.ranked else f"({place}) *",
            Text(_named(each.model, each.run_dir)),
            f"{_rounded(each.score)} ({_rounded(each.low)}–{_rounded(each.high)})",
            Text(_bar(each.low, each.score, each.high, low, high)),
            *((_pass(each.pass_at_k), _pass(each.pass_all_k)) if ranking.epochs > 1 else ()),
            f"{_rounded(100 * each.coverage)} %",
        )
    console.print(table)
    console.print()
    console.print(Text(say("compare.ranking_legend", items=f"{ranking.items:,}", datasets=len(ranking.datasets))))
    if ranking.epochs > 1:
        console.print(Text(say("compare.pass_legend", k=ranking.epochs)))
    if not all(each.ranked for each in ranking.standings):
        console.print(Text(say("compare.not_ranked")))
    if any(each.checks for each in ranking.standings):
        console.print()
        console.print(_checks_of(ranking.standings))
        console.print(Text(say("board.checks_legend")))
    if ranking.left_out:
        console.print(Text(say("compare.ranking_left_out", names=", ".join(ranking.left_out))))
    if ranking.judges:
        console.print(Text(say("compare.ranking_judges", judges=judges_text(ranking.judges))))


def _checks_of(standings: Sequence[Standing]) -> Table:
    """What running the answers of each model showed."""
    from rich.table import Table
    from rich.text import Text

    from medbench.board.report.checks import shares_text

    table = Table(box=None, pad_edge=False)
    table.add_column(say("report.checks"), overflow="fold")
    table.add_column(say("compare.model"), overflow="fold")
    for header in ("check_covered", "check_passed"):
        table.add_column(say(f"report.{header}"), justify="right")
    for name in dict.fromkeys(name for each in standings for name in each.checks):
        for each in standings:
            if name in each.checks:
                table.add_row(Text(name), Text(_named(each.model, each.run_dir)), *shares_text(each.checks[name]))
    return table


def _print_effects(effects: PictureEffects) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print(Text(say("report.effects_title", name=_named(effects.model, effects.run_dir))))
    console.print()
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for header in ("items", "pictures", "own", "removed", "swapped", "own_less_removed", "own_less_swapped"):
        table.add_column(say(f"report.effect_{header}"), justify="right")
    for row in effects.controls:
        name = say(f"report.group_{row.id or row.group}") if row.title is None else _titled(row.title)
        scores = (_number(row.own), _number(row.removed), _number(row.swapped))
        gaps = (_gap(row.own_less_removed), _gap(row.own_less_swapped))
        table.add_row(Text(name), f"{row.n:,}", f"{row.clusters:,}", *scores, *gaps)
    console.print(table)
    console.print()
    if effects.probes:
        table = Table(box=None, pad_edge=False)
        table.add_column("", overflow="fold")
        for header in ("pictures", "perception", "reasoning", "gap"):
            table.add_column(say(f"report.probe_{header}"), justify="right")
        for probe in effects.probes:
            name = say("report.group_overall") if probe.title is None else _titled(probe.title)
            scores = (_number(probe.perception), _number(probe.reasoning), _gap(probe.gap))
            table.add_row(Text(name), f"{probe.pictures:,}", *scores)
        console.print(table)
        console.print()
    console.print(Text(say("report.effects_legend")))
    if effects.left_out:
        console.print(Text(say("report.effects_left_out", count=f"{effects.left_out:,}")))
    if effects.not_compared:
        console.print(Text(say("report.effects_not_compared", names=", ".join(effects.not_compared))))


def _titled(title: Bilingual) -> str:
    return str(getattr(title, current_language()))


def _gap(gap: Gap | Effect | Points | None) -> str:
    if gap is None:
        return NOTHING
    if gap.low is None or gap.high is None:
        return f"{_rounded(gap.difference):+}"
    return f"{_rounded(gap.difference):+} ({_rounded(gap.low):+} … {_rounded(gap.high):+})"


def _pass(figure: PassFigure | None) -> str:
    if figure is None:
        return NOTHING
    return f"{_rounded(figure.value)} ({_rounded(figure.low)}–{_rounded(figure.high)})"


def _bar(low: float, value: float, high: float, least: float, most: float) -> str:
    """An interval with its value, drawn in text between the least and the greatest limit."""
    span = max(most - least, 1e-9)
    places = [round((each - least) / span * (BAR - 1)) for each in (low, value, high)]
    line = [" "] * BAR
    for place in range(places[0], places[2] + 1):
        line[place] = "─"
    line[places[1]] = "●"
    return "".join(line)


def _lines(comparison: Comparison) -> list[str]:
    """The verdict in words, and what to bear in mind."""
    overall = comparison.overall
    lines = [say("compare.no_overall") if overall is None else _verdict(comparison, overall), say("compare.legend")]
    if comparison.epochs > 1:
        lines.append(say("compare.pass_legend", k=comparison.epochs))
    if not all(dataset.whole for dataset in comparison.datasets):
        lines.append(say("compare.closed_only"))
    for why in dict.fromkeys(comparison.not_compared.values()):
        names = ", ".join(name for name, reason in comparison.not_compared.items() if reason == why)
        lines.append(say("compare.not_compared", names=names, why=say(f"compare.why_{why}")))
    return [*lines, *comparison.notes]


def _verdict(comparison: Comparison, overall: Effect) -> str:
    if overall.low is None or overall.high is None or overall.low <= 0 <= overall.high:
        if overall.mde is None:
            return say("compare.no_difference_no_mde")
        return say("compare.no_difference", mde=_number(overall.mde))
    ahead, limits = comparison.a, (overall.low, overall.high)
    if overall.difference < 0:
        ahead, limits = comparison.b, (-overall.high, -overall.low)
    interval = "–".join(_number(limit) for limit in limits)
    points = _number(abs(overall.difference))
    return say("compare.better", name=_named(ahead.model, ahead.run_dir), points=points, interval=interval)


def _named(model: str, run_dir: str) -> str:
    return f"{model} ({run_dir})"


def _effect(effect: Effect) -> tuple[str, str, str]:
    return _gap(effect), _p(effect.p), _number(effect.mde)


def _mcnemar(dataset: DatasetComparison) -> str:
    test = dataset.mcnemar
    return NOTHING if test is None else say("compare.mcnemar_cell", b=test.b, c=test.c, p=_p(test.p))


def _p(p: float | None) -> str:
    if p is None:
        return NOTHING
    return "<0.001" if p < 0.001 else str(_rounded(p, 3))


def _number(value: float | None) -> str:
    return NOTHING if value is None else str(_rounded(value))


def _rounded(value: float, places: int = 1) -> Decimal:
    from medbench.stats import half_up

    return half_up(value, places)
