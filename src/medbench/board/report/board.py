"""The board page of a release: ranks, scores, dimensions, judges; one HTML file in two languages that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from medbench.board.ranking import Standing
from medbench.board.release import Release
from medbench.board.report.charts import Bar, dataset_chart, draw
from medbench.board.report.checks import shares_text
from medbench.board.report.figures import interval, metric_names, number, percent, with_interval
from medbench.board.report.render import NAMES, TAGS, environment
from medbench.board.summary import SAFETY_DIMENSIONS
from medbench.catalog import load_catalog
from medbench.store.files import write_atomically
from medbench.text import LANGUAGES, Language, say

BOARD_FILE = "board.html"


@dataclass(frozen=True, slots=True)
class Line:
    """A model on the board."""

    rank: str
    name: str
    model: str
    score: str
    interval: str
    passes: tuple[str, ...]
    coverage: str
    dimensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What running the answers of a model to one part showed."""

    part: str
    name: str
    covered: str
    passed: str


def write_board(out: Path, release: Release, language: Language) -> Path:
    """Write `board.html`; the same release gives the same bytes.

    Raises:
        InputError: vl-convert is not installed.
        WorkError: The file can't be written.
    """
    ordered = [language, *(other for other in LANGUAGES if other != language)]
    lines = _lines(release)
    chart = Markup(draw(dataset_chart(_bars(release)))) if lines else None  # noqa: S704 - our own drawing
    page = environment().get_template("board.html.jinja")
    text = page.render(
        release=release,
        lines=lines,
        checks=_checks(release),
        chart=chart,
        languages=ordered,
        words={each: partial(_say, each, "board") for each in ordered},
        report={each: partial(_say, each, "report") for each in ordered},
        dimensions={each: _dimensions(release, each) for each in ordered},
        unmeasured={each: metric_names(release.unmeasured, each) for each in ordered},
        tags=TAGS,
        names=NAMES,
        number=number,
    )
    path = out / BOARD_FILE
    write_atomically(path, text.encode())
    return path


def _say(language: Language, package: str, name: str, /, **values: Any) -> str:  # noqa: ANN401 - fills a message
    return say(f"{package}.{name}", language=language, **values)


def _lines(release: Release) -> list[Line]:
    lines = []
    for entry in release.entries:
        standing = entry.standing
        if standing is None:
            continue
        span = f"{standing.rank_low}\N{EN DASH}{standing.rank_high}"
        rank = str(standing.rank) if standing.rank_low == standing.rank_high else f"{standing.rank} ({span})"
        lines.append(
            Line(
                rank=rank if standing.ranked else "*",
                name=entry.name,
                model=standing.model,
                score=number(standing.score),
                interval=interval(standing),
                passes=tuple(
                    with_interval(each) for each in (standing.pass_at_k, standing.pass_all_k) if release.epochs > 1
                ),
                coverage=percent(standing.coverage),
                dimensions=tuple(_of_dimensions(release, standing)),
            )
        )
    return lines


def _checks(release: Release) -> list[Checked]:
    """By part, the models in their order."""
    standings = [(entry.name, entry.standing) for entry in release.entries if entry.standing is not None]
    return [
        Checked(part, name, *shares_text(standing.checks[part]))
        for part in dict.fromkeys(part for _, standing in standings for part in standing.checks)
        for name, standing in standings
        if part in standing.checks
    ]


def _of_dimensions(release: Release, standing: Standing) -> Iterator[str]:
    """Scores; behind that of a dimension of safety its pass^k, where items were asked several times."""
    for name, value in standing.dimensions.items():
        yield number(value)
        if _doubled(release, name):
            all_k = standing.pass_all_k
            yield number(None if all_k is None else all_k.dimensions[name])


def _doubled(release: Release, dimension: str) -> bool:
    return release.epochs > 1 and dimension in SAFETY_DIMENSIONS


def _bars(release: Release) -> list[Bar]:
    return [
        Bar(entry.name, each.score, each.low, each.high, number(each.score))
        for entry in release.entries
        if (each := entry.standing) is not None
    ]


def _dimensions(release: Release, language: Language) -> list[str]:
    first = next((entry.standing for entry in release.entries if entry.standing), None)
    if first is None:
        return []
    titles: Mapping[str, Any] = {
        dimension.id: dimension.title
        for track in ("llm", "multimodal", "agent", "imaging")
        for dimension in load_catalog().dimensions(track)
    }
    columns = []
    for name in first.dimensions:
        title = str(getattr(titles[name], language)) if name in titles else name
        columns += [title, f"{title}: pass^{release.epochs}"] if _doubled(release, name) else [title]
    return columns
