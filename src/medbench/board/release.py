"""A release: the runs of a suite, ranked and frozen; its name is a hash of what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from medbench import __version__
from medbench.board.compare import judges_by_run, judges_text
from medbench.board.ranking import Ranking, Standing, rank
from medbench.board.summary import load_summary
from medbench.errors import InputError
from medbench.scoring.score import JudgeUse
from medbench.store.files import write_json
from medbench.text import say

RELEASES = "releases"
FORMAT = 1


class Entry(msgspec.Struct, frozen=True):
    """A run of a release.

    Attributes:
        name: In the suite.
        config_hash: What was asked of whom.
        figures_hash: SHA-256 of its figures.json: what came of it.
        standing: Among the others; None where it is the only one.
    """

    name: str
    config_hash: str
    figures_hash: str
    standing: Standing | None


class Release(msgspec.Struct, frozen=True):
    """What is frozen.

    Attributes:
        id: First 16 hex digits of the SHA-256 of everything below.
        created: Of the newest run, UTC.
        items: Items asked.
        shared: Items that count in the ranking; 0 for a single model.
        items_fingerprint: Of the questions.
        catalog_version: Of the catalog.
        code_version: Of medbench.
        datasets: Datasets that count.
        left_out: Datasets that do not.
        judges: Of the first run; all have the same.
        unmeasured: Judged metrics that nobody held against people.
        epochs: How often every run asked each item; 1 where they differ.
        entries: Best first.
        illustrative: Items asked that are simulated or made up to show how the bench works.
        format: Version of this file.
    """

    id: str
    created: str
    items: int
    shared: int
    items_fingerprint: str
    catalog_version: str
    code_version: str
    datasets: tuple[str, ...]
    left_out: tuple[str, ...]
    judges: tuple[JudgeUse, ...]
    entries: tuple[Entry, ...]
    format: int = FORMAT
    epochs: int = 1
    illustrative: int = 0
    unmeasured: tuple[str, ...] = ()


def freeze(out: Path, runs: Mapping[str, Path]) -> tuple[Release, Path]:
    """Freeze scored runs as a release; the same runs give the same release.

    Args:
        out: Folder of the suite; `releases/ID.json` in it is written.
        runs: Name -> folder.

    Returns:
        The release and its file.

    Raises:
        InputError: Runs can't be ranked, are media controls, or were judged by different judges.
    """
    from medbench.runs.results import FIGURES_FILE

    summaries = {name: load_summary(path) for name, path in runs.items()}
    first = next(iter(summaries.values()))
    judged = {
        tuple(sorted(use.judge.id for use in summary.judges if not use.left_out)) for summary in summaries.values()
    }
    if len(judged) > 1:
        judges = judges_text(judges_by_run([Path(name) for name in runs], list(summaries.values())))
        raise InputError(say("board.different_judges", judges=judges))
    if any(summary.pins.selection.media_control != "none" for summary in summaries.values()):
        raise InputError(say("board.media_control"))
    ranking: Ranking | None = rank(list(runs.values())) if len(runs) > 1 else None
    standings = {each.run_dir: each for each in ranking.standings} if ranking else {}
    entries = [
        Entry(
            name=name,
            config_hash=summaries[name].pins.config_hash(),
            figures_hash=hashlib.sha256((path / FIGURES_FILE).read_bytes()).hexdigest(),
            standing=_frozen(standings.get(str(path)), name),
        )
        for name, path in runs.items()
    ]
    entries.sort(key=lambda entry: (entry.standing.rank if entry.standing else 1, entry.name))
    release = Release(
        id="",
        created=max(summary.pins.created for summary in summaries.values()),
        items=first.items,
        shared=ranking.items if ranking else 0,
        items_fingerprint=first.pins.items_fingerprint,
        catalog_version=first.pins.catalog_version,
        code_version=__version__,
        datasets=ranking.datasets if ranking else tuple(each.name for each in first.datasets if each.score),
        left_out=ranking.left_out if ranking else (),
        judges=first.judges,
        entries=tuple(entries),
        epochs=first.pins.selection.epochs if ranking is None else ranking.epochs,
        illustrative=first.illustrative,
        unmeasured=first.unmeasured(),
    )
    digest = hashlib.sha256(msgspec.json.encode(release, order="deterministic")).hexdigest()[:16]
    release = msgspec.structs.replace(release, id=digest)
    path = out / RELEASES / f"{digest}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, release)
    return release, path


def _frozen(standing: Standing | None, name: str) -> Standing | None:
    """Without the place of its run, which is none of a release's business."""
    return None if standing is None else msgspec.structs.replace(standing, run_dir=name)
