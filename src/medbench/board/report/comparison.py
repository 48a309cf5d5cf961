"""What a comparison of two runs shows, as tables for the terminal and for a page that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from markupsafe import Markup

from medbench.board.compare import Comparison, DatasetComparison, Side, compare_notes
from medbench.board.effects import Effect, PairedFigure
from medbench.board.report.charts import Mark, draw, mark_chart
from medbench.board.report.figures import NOTHING, difference, metric_names, number
from medbench.board.report.render import NAMES, TAGS, environment
from medbench.board.summary import Summary, load_summary
from medbench.store.files import write_atomically
from medbench.text import LANGUAGES, Language, say

AXIS = 10.0
"""The chart goes at least so many points to both sides of 0."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row: a name and figures; `strong` sets it apart, and `title` says what the name stands for."""

    name: str
    cells: tuple[str, ...]
    strong: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with the headers of all its columns and what is to be said below it."""

    headers: tuple[str, ...]
    rows: tuple[Row, ...]
    legend: str = ""


def comparison_tables(comparison: Comparison, language: Language) -> list[Table]:
    """Datasets, dimensions, answers that were run, repeats, costs, people; those that there are."""
    t = partial(_say, language)
    tables = []
    if comparison.datasets:
        headers = [t(name) for name in ("dataset", "items", "a", "b", "difference", "p_holm", "mcnemar", "mde")]
        tables.append(Table(tuple(headers), tuple(_dataset(each, language) for each in comparison.datasets)))
    if comparison.overall:
        rows = [Row(str(getattr(each.title, language)), _effect(each)) for each in comparison.dimensions]
        rows.append(Row(t("overall"), _effect(comparison.overall), strong=True))
        headers = [t(name) for name in ("dimension", "difference", "p", "mde")]
        tables.append(Table(tuple(headers), tuple(rows)))
    if comparison.checks:
        headers = [t(name) for name in ("items", "a", "b", "difference", "p", "mde")]
        headers.insert(0, say("report.checks", language=language))
        tables.append(Table(tuple(headers), tuple(_checks(comparison, language)), t("checks_legend")))
    if comparison.epochs > 1:
        tables.append(_passes(comparison, language))
    names = ("cost", "answers", "calls", "input_tokens", "output_tokens", "median_s", "refusals")
    costs = (_cost(t("a"), comparison.a), _cost(t("b"), comparison.b))
    tables.append(Table(tuple(t(name) for name in names), costs))
    if comparison.people:
        headers = [t(name) for name in ("dataset", "rated", "people", "ratings_alone", "judge_alone", "lambda")]
        tables.append(Table(tuple(headers), tuple(_people(comparison, language)), t("people_legend")))
    return tables


def comparison_lines(comparison: Comparison, language: Language) -> list[str]:
    """The verdict in words, and how to read the tables."""
    t = partial(_say, language)
    overall = comparison.overall
    lines = [t("no_overall") if overall is None else _verdict(comparison, overall, language), t("legend")]
    if comparison.epochs > 1:
        lines.append(t("pass_legend", k=comparison.epochs))
    if not all(dataset.whole for dataset in comparison.datasets):
        lines.append(t("closed_only"))
    for why in dict.fromkeys(comparison.not_compared.values()):
        names = ", ".join(name for name, reason in comparison.not_compared.items() if reason == why)
        lines.append(t("not_compared", names=names, why=t(f"why_{why}")))
    return lines


def comparison_title(comparison: Comparison, language: Language) -> str:
    """Which runs are compared, and in what."""
    first, second = named(comparison.a), named(comparison.b)
    return _say(language, "title", first=first, second=second, items=f"{comparison.items:,}")


def write_comparison(path: Path, comparison: Comparison, language: Language) -> None:
    """Write a comparison as one HTML file in both languages; the same comparison gives the same bytes.

    Args:
        path: The file.
        comparison: What is shown.
        language: Shown first; the reader can switch to the other.

    Raises:
        InputError: vl-convert is not installed.
        WorkError: The file can't be written; an older one is untouched.
    """
    ordered = [language, *(other for other in LANGUAGES if other != language)]
    summaries = load_summary(Path(comparison.a.run_dir)), load_summary(Path(comparison.b.run_dir))
    marks = [Mark(each.name, each.difference, each.low, each.high, difference(each)) for each in comparison.datasets]
    text = (
        environment()
        .get_template("comparison.html.jinja")
        .render(
            comparison=comparison,
            chart=Markup(draw(mark_chart(marks, -AXIS, AXIS))) if marks else None,  # noqa: S704 - our own drawing
            languages=ordered,
            words={each: partial(_say, each) for each in ordered},
            titles={each: comparison_title(comparison, each).splitlines() for each in ordered},
            tables={each: comparison_tables(comparison, each) for each in ordered},
            lines={each: comparison_lines(comparison, each) for each in ordered},
            warnings={each: _warnings(comparison, *summaries, each) for each in ordered},
            tags=TAGS,
            names=NAMES,
        )
    )
    write_atomically(path, text.encode())


class OfRun(Protocol):
    """What was found in a run."""

    @property
    def model(self) -> str:
        """Its kind and name."""

    @property
    def run_dir(self) -> str:
        """Folder of the run."""


def named(found: OfRun) -> str:
    """A run by its model and folder."""
    return f"{found.model} ({found.run_dir})"


def _say(language: Language, name: str, /, **values: Any) -> str:  # noqa: ANN401 - fills a message
    return say(f"compare.{name}", language=language, **values)


def _warnings(comparison: Comparison, first: Summary, second: Summary, language: Language) -> list[str]:
    """What a reader has to know before reading on: as on a board, and what differs between the runs."""
    t = partial(say, language=language)
    lines = []
    if first.illustrative:
        lines.append(t("board.illustrative", count=f"{first.illustrative:,}", items=f"{first.items:,}"))
    if any(use.uncalibrated for use in (*first.judges, *second.judges)):
        lines.append(t("board.uncalibrated"))
    elif metrics := dict.fromkeys((*first.unmeasured(), *second.unmeasured())):
        lines.append(t("board.unmeasured", metrics=metric_names(metrics, language)))
    return [*lines, *compare_notes(first, second, comparison.left_out, language)]


def _dataset(each: DatasetComparison, language: Language) -> Row:
    test = each.mcnemar
    won = NOTHING if test is None else _say(language, "mcnemar_cell", b=test.b, c=test.c, p=_p(test.p))
    cells = (f"{each.n:,}", number(each.a), number(each.b), difference(each), _p(each.p_holm), won, number(each.mde))
    name = each.name if each.whole else f"{each.name} *"
    return Row(name, cells, title=str(getattr(each.title, language)))


def _checks(comparison: Comparison, language: Language) -> Iterator[Row]:
    for check in comparison.checks:
        yield Row(check.name, ())
        for name, figure in (("check_covered", check.covered), ("check_passed", check.passed)):
            cells: tuple[str, ...] = ("0",)
            if figure is not None:
                cells = (f"{figure.n:,}", number(figure.a), number(figure.b), *_effect(figure))
            yield Row(f"  {say(f'report.{name}', language=language)}", cells)


def _passes(comparison: Comparison, language: Language) -> Table:
    t = partial(_say, language)
    headers = [t("dataset")]
    for name in (f"pass@{comparison.epochs}", f"pass^{comparison.epochs}"):
        headers += [f"{name} {t('a')}", t("b"), t("difference")]
    rows = [Row(each.name, (*_pass(each.pass_at_k), *_pass(each.pass_all_k))) for each in comparison.datasets]
    both = (comparison.pass_at_k, comparison.pass_all_k)
    rows.append(Row(t("overall"), tuple(cell for each in both for cell in ("", "", difference(each))), strong=True))
    return Table(tuple(headers), tuple(rows))


def _pass(figure: PairedFigure | None) -> tuple[str, str, str]:
    return (NOTHING,) * 3 if figure is None else (number(figure.a), number(figure.b), difference(figure))


def _cost(name: str, side: Side) -> Row:
    cost = side.cost
    counts = (cost.answers, cost.calls, cost.input_tokens, cost.output_tokens)
    return Row(name, (*(f"{count:,}" for count in counts), number(cost.median_s), f"{cost.refusals:,}"))


def _people(comparison: Comparison, language: Language) -> Iterator[Row]:
    for each in comparison.people:
        rated = " : ".join(f"{n:,} / {judged:,}" for n, judged in zip(each.n, each.judged, strict=True))
        if each.people is None:
            yield Row(each.name, (rated, _say(language, f"why_{each.reason}")))
            continue
        weights = " : ".join(number(weight, 2) for weight in each.weights)
        yield Row(each.name, (rated, *map(difference, (each.people, each.labels, each.judge)), weights))


def _verdict(comparison: Comparison, overall: Effect, language: Language) -> str:
    if overall.low is None or overall.high is None or overall.low <= 0 <= overall.high:
        if overall.mde is None:
            return _say(language, "no_difference_no_mde")
        return _say(language, "no_difference", mde=number(overall.mde))
    ahead, limits = comparison.a, (overall.low, overall.high)
    if overall.difference < 0:
        ahead, limits = comparison.b, (-overall.high, -overall.low)
    spread = "–".join(number(limit) for limit in limits)
    return _say(language, "better", name=named(ahead), points=number(abs(overall.difference)), interval=spread)


def _effect(effect: Effect) -> tuple[str, str, str]:
    return difference(effect), _p(effect.p), number(effect.mde)


def _p(p: float | None) -> str:
    if p is None:
        return NOTHING
    return "<0.001" if p < 0.001 else number(p, 3)
