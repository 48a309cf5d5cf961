"""The official answer-upload package of a run over the official release."""

from __future__ import annotations

import tempfile
import zipfile
from contextlib import closing
from pathlib import Path

import msgspec

from medbench.engine.ledger import Ledger
from medbench.errors import InputError, Problem, WorkError
from medbench.items.official import official_rows
from medbench.runs.config import read_pins
from medbench.runs.execute import LEDGER_FILE, open_pinned
from medbench.runs.plan import asked
from medbench.runs.results import responses
from medbench.text import say

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The same answers give the same bytes."""


class Package(msgspec.Struct, frozen=True):
    """What was written.

    Attributes:
        path: The zip.
        files: File -> rows.
        rows: All rows.
        published: Rows that the published release has of the same tracks; more than `rows` where the run asked a part.
        empty: Rows without an answer text (failed, blocked or empty responses): they count as wrong.
        epochs: Of the run. The package holds the answers of the first one, whatever came later: a row has one answer.
    """

    path: str
    files: dict[str, int]
    rows: int
    published: int
    empty: int
    epochs: int


def export_submission(run_dir: Path, out: Path, track: str | None = None) -> Package:
    """Write one `<Dataset>.jsonl` per official file, its rows as the release has them with the answers filled in.

    Args:
        run_dir: A run over the official release.
        out: The zip; must not exist.
        track: Only the datasets of this track.

    Raises:
        InputError: The run is over other items, is a media control or not complete, or the zip exists.
        WorkError: The zip can't be written.
    """
    pins = read_pins(run_dir)
    if out.exists():
        raise InputError(Problem(message=say("runs.zip_exists", path=out), field="--out"))
    if pins.selection.media_control != "none":
        raise InputError(Problem(message=say("runs.submission_of_control"), file=str(run_dir)))
    source = open_pinned(pins)
    files: dict[str, dict[int, bytes]] = {}
    missing: list[str] = []
    tracks: set[str] = set()
    empty = 0
    with closing(Ledger(run_dir / LEDGER_FILE, read_only=True)) as ledger:
        arriving = responses(ledger)
        upcoming = next(arriving, None)
        for call in asked(source, pins.selection):
            question = call.question
            response = None
            if upcoming is not None and upcoming[0] == call.seq:
                response = upcoming[1]
                upcoming = next(arriving, None)
            if call.epoch:
                continue
            its_track = source.catalog.datasets[question.dataset].track
            if track and its_track != track:
                continue
            tracks.add(its_track)
            if not call.form.row:
                raise InputError(Problem(message=say("runs.not_official"), file=pins.items))
            if response is None:
                missing.append(f"{question.uid}#{call.variant}")
                continue
            empty += not response.text
            row = dict(official_rows(question))[call.form.row] | {"answer": response.text}
            files.setdefault(str(question.meta["file"]), {})[call.form.row] = msgspec.json.encode(row)
    if missing:
        raise InputError(say("runs.unanswered", n=len(missing), examples=", ".join(missing[:5]), path=run_dir))
    if not files:
        raise InputError(Problem(message=say("runs.nothing_selected"), field="--track"))
    _write_zip(out, files)
    return Package(
        path=str(out),
        files={name: len(rows) for name, rows in sorted(files.items())},
        rows=sum(map(len, files.values())),
        published=sum(
            part.official.rows
            for dataset in source.catalog.datasets.values()
            for part in dataset.parts
            if part.official and dataset.track in tracks
        ),
        empty=empty,
        epochs=pins.selection.epochs,
    )


def _write_zip(out: Path, files: dict[str, dict[int, bytes]]) -> None:
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", delete=False) as file:
            temporary = Path(file.name)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, rows in sorted(files.items()):
                    lines = b"".join(rows[number] + b"\n" for number in sorted(rows))
                    archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), lines, zipfile.ZIP_DEFLATED)
        temporary.chmod(0o644)
        temporary.rename(out)
    except OSError as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise WorkError(say("store.unwritable", path=out, error=error.strerror or error)) from error
