"""`medbench compare`: two runs over the same items."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli.output import print_json
from medbench.errors import InputError, Problem
from medbench.text import current_language, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from medbench.board.compare import Comparison
    from medbench.board.controls import PictureEffects
    from medbench.board.ranking import Ranking, Standing
    from medbench.catalog.model import Bilingual

WIDE = 120
BAR = 31


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a scored run.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of a scored run over the same items.")],
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN]...", help="Further runs: all are then ranked.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Of two runs: also write it as a page (HTML) in both languages."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Compare two models item by item: difference A − B with its interval, per dataset, dimension and overall.

    With three or more runs: scores on the items that all of them answered, and ranks with their intervals. With a run
    and its own media controls: what the pictures add.

    \b
    Examples:
      medbench compare run-qwen run-llama
      medbench compare run-qwen run-llama --out comparison.html
      medbench compare run-qwen run-llama run-mistral
      medbench compare run run-removed run-swapped
    """
    from medbench.board.controls import has_controls, picture_effects

    others = [run_b, *(more or [])]
    controls = has_controls(run_a, others)
    if out is not None and (more or controls):
        raise InputError(Problem(message=say("compare.no_page"), field="--out"))
    if controls:
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
    if out is not None:
        from medbench.board.report.comparison import write_comparison

        write_comparison(out, comparison, current_language())
    if as_json:
        print_json(comparison)
    else:
        _print(comparison)
        if out is not None:
            print(say("compare.page_written", path=out))


def _print(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from medbench.board.report.comparison import comparison_lines, comparison_tables, comparison_title

    # A file or a pipe has no width to fit into; the tables below then stand on one line per row.
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    language = current_language()
    console.print(Text(comparison_title(comparison, language)))
    console.print()
    for shown in comparison_tables(comparison, language):
        table = Table(box=None, pad_edge=False)
        table.add_column(shown.headers[0], overflow="fold")
        for header in shown.headers[1:]:
            table.add_column(header, justify="right", no_wrap=header == say("compare.difference"))
        for row in shown.rows:
            table.add_row(Text(row.name, style="bold" if row.strong else ""), *row.cells)
        console.print(table)
        if shown.legend:
            console.print(Text(shown.legend))
        console.print()
    for line in (*comparison_lines(comparison, language), *comparison.notes):
        console.print(Text(line))


def _print_ranking(ranking: Ranking) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from medbench.board.compare import judges_text
    from medbench.board.report.comparison import named
    from medbench.board.report.figures import with_interval
    from medbench.stats import half_up

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
            Text(named(each)),
            f"{half_up(each.score)} ({half_up(each.low)}–{half_up(each.high)})",
            Text(_bar(each.low, each.score, each.high, low, high)),
            *((with_interval(each.pass_at_k), with_interval(each.pass_all_k)) if ranking.epochs > 1 else ()),
            f"{half_up(100 * each.coverage)} %",
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
    from medbench.board.report.comparison import named

    table = Table(box=None, pad_edge=False)
    table.add_column(say("report.checks"), overflow="fold")
    table.add_column(say("compare.model"), overflow="fold")
    for header in ("check_covered", "check_passed"):
        table.add_column(say(f"report.{header}"), justify="right")
    for name in dict.fromkeys(name for each in standings for name in each.checks):
        for each in standings:
            if name in each.checks:
                table.add_row(Text(name), Text(named(each)), *shares_text(each.checks[name]))
    return table


def _print_effects(effects: PictureEffects) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from medbench.board.report.comparison import named
    from medbench.board.report.figures import difference, number

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print(Text(say("report.effects_title", name=named(effects))))
    console.print()
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for header in ("items", "pictures", "own", "removed", "swapped", "own_less_removed", "own_less_swapped"):
        table.add_column(say(f"report.effect_{header}"), justify="right")
    for row in effects.controls:
        name = say(f"report.group_{row.id or row.group}") if row.title is None else _titled(row.title)
        scores = (number(row.own), number(row.removed), number(row.swapped))
        gaps = (difference(row.own_less_removed), difference(row.own_less_swapped))
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
            scores = (number(probe.perception), number(probe.reasoning), difference(probe.gap))
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


def _bar(low: float, value: float, high: float, least: float, most: float) -> str:
    """An interval with its value, drawn in text between the least and the greatest limit."""
    span = max(most - least, 1e-9)
    places = [round((each - least) / span * (BAR - 1)) for each in (low, value, high)]
    line = [" "] * BAR
    for place in range(places[0], places[2] + 1):
        line[place] = "─"
    line[places[1]] = "●"
    return "".join(line)
