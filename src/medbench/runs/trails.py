"""The audit trails of a run: which answer each belongs to, and whether it is what the run recorded.

The ledger says which trail an answer has; the tables made from it must say the same. Whoever can write into the folder
can still write ledger, tables and trails anew: only `RunAudit.head`, kept elsewhere, shows that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from medbench.agents.governance.audit import SUFFIX
from medbench.engine.ledger import Ledger
from medbench.errors import InputError, Problem
from medbench.runs.config import read_pins
from medbench.runs.execute import LEDGER_FILE
from medbench.runs.plan import KIND
from medbench.runs.status import is_under_way
from medbench.store.artifacts import ARTIFACTS_FOLDER
from medbench.store.audit import Checked, check_trail
from medbench.store.parquet import read_batches
from medbench.store.sqlite import is_made
from medbench.text import say


class AnswerTrail(msgspec.Struct, frozen=True):
    """The trail of one answer.

    Attributes:
        item: `DATASET/ID`, or `DATASET/PART/ID`; `#SEQ`, its place in the plan, where the tables lack the answer.
        variant: Which asking of it.
        file: The trail; None: there is none.
        checked: Records that hold. Beside the faults of a chain there are `missing` (no such file), `not_recorded` (a
            chain that holds, but not in the file whose hash the run noted: one that was cut off or written anew),
            `not_in_ledger` (the tables name another trail than the ledger) and `no_trail` (an answer without one).
    """

    item: str
    variant: int
    file: Path | None
    checked: Checked

    @property
    def holds(self) -> bool:
        """Whether it is whole and unchanged."""
        return not self.checked.fault


class RunAudit(msgspec.Struct, frozen=True):
    """What a check of all trails of a run found.

    Attributes:
        trails: How many there are, or should be.
        holding: How many hold.
        first_bad: The first that does not.
        head: SHA-256 over the answers and the hashes of their trails, in the order of the plan; empty unless all hold.
    """

    trails: int
    holding: int
    first_bad: AnswerTrail | None
    head: str


class _Noted(msgspec.Struct):
    """What is needed here of a response in the ledger."""

    status: str
    artifacts: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(_Noted).decode


def audit_run(run_dir: Path) -> RunAudit:
    """Check all trails of a run.

    Raises:
        InputError: As `trails_of`.
    """
    trails = holding = 0
    bad = None
    digest = hashlib.sha256()
    for each in trails_of(run_dir):
        trails += 1
        holding += each.holds
        bad = bad or (None if each.holds else each)
        digest.update(f"{each.item}\0{each.variant}\0{each.file and each.file.name}\n".encode())
    return RunAudit(trails, holding, bad, "" if bad else digest.hexdigest())


def trails_of(run_dir: Path, item: str | None = None) -> Iterator[AnswerTrail]:
    """The trails of a run in its order, one in memory at a time.

    A call that failed, or whose media were missing, was given no answer and may have none.

    Args:
        run_dir: Folder of a run of a guarded agent.
        item: Only the answers to this item; None: all.

    Raises:
        InputError: The folder holds no run or no ledger, or there is no such trail, or not yet.
    """
    read_pins(run_dir)
    path = run_dir / LEDGER_FILE
    if not is_made(path):
        raise InputError(Problem(message=say("agent.no_ledger"), file=str(path)))
    found = False
    with closing(Ledger(path, read_only=True)) as ledger:
        if any(_trails(_decode(body).artifacts) for _, body in ledger.bodies(KIND)):
            for each in _held(run_dir, ledger):
                if item is None or each.item == item:
                    found = True
                    yield each
    if not found and is_under_way(run_dir):
        raise InputError(Problem(message=say("agent.under_way"), file=str(run_dir)))
    if not found and item is not None:
        raise InputError(Problem(message=say("agent.no_trail_of_item", item=item), file=str(run_dir), field="--item"))
    if not found:
        raise InputError(Problem(message=say("agent.no_trails"), file=str(run_dir)))


def _held(run_dir: Path, ledger: Ledger) -> Iterator[AnswerTrail]:
    """The tables held against the ledger. While a run is at work they lack its last answers."""
    listed = _listed(run_dir)
    upcoming = next(listed, None)
    at_work = is_under_way(run_dir)
    for seq, body in ledger.bodies(KIND):
        noted = _decode(body)
        trails = _trails(noted.artifacts)
        if upcoming is None or upcoming["seq"] != seq:
            if not at_work:
                yield _without(f"#{seq}", 0, "not_in_ledger")
            continue
        row, upcoming = upcoming, next(listed, None)
        if _trails(json.loads(row["artifacts"] or "[]")) != trails:
            yield _without(row["uid"], row["variant"], "not_in_ledger")
        elif not trails and noted.status not in ("failed", "media_missing"):
            yield _without(row["uid"], row["variant"], "no_trail")
        else:
            for reference in trails:
                # A reference is data: its last part alone names a file.
                file = run_dir / ARTIFACTS_FOLDER / Path(reference).name
                yield AnswerTrail(row["uid"], row["variant"], file, _checked(file))
    if upcoming is not None:
        yield _without(upcoming["uid"], upcoming["variant"], "not_in_ledger")


def _listed(run_dir: Path) -> Iterator[dict[str, Any]]:
    for batch in read_batches(run_dir / "responses", ["seq", "uid", "variant", "artifacts"]):
        yield from batch.to_pylist()


def _trails(references: Sequence[str]) -> list[str]:
    return [each for each in references if each.endswith(SUFFIX)]


def _without(item: str, variant: int, fault: str) -> AnswerTrail:
    return AnswerTrail(item, variant, None, Checked((), "", 0, fault))


def _checked(file: Path) -> Checked:
    try:
        content = file.read_bytes()
    except OSError:
        return Checked((), "", 0, "missing")
    checked = check_trail(content)
    if checked.fault or hashlib.sha256(content).hexdigest() == file.name.removesuffix(SUFFIX):
        return checked
    return msgspec.structs.replace(checked, fault="not_recorded")
