"""The audit trails of a run: which answer each belongs to, and whether it is what the run recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from medbench.agents.governance.audit import SUFFIX
from medbench.errors import InputError, Problem
from medbench.runs.config import read_pins
from medbench.store.artifacts import ARTIFACTS_FOLDER
from medbench.store.audit import Checked, check_trail
from medbench.store.parquet import read_batches
from medbench.text import say


class AnswerTrail(msgspec.Struct, frozen=True):
    """The trail of one answer.

    Attributes:
        item: `DATASET/ID`, or `DATASET/PART/ID`.
        variant: Which asking of it.
        file: The trail.
        checked: Records that hold. Beside the faults of a chain there are `missing` (no such file) and `not_recorded`
            (a chain that holds, but not in the file whose hash the run noted: one that was cut off or written anew).
    """

    item: str
    variant: int
    file: Path
    checked: Checked

    @property
    def holds(self) -> bool:
        """Whether it is whole and unchanged."""
        return not self.checked.fault


def trails_of(run_dir: Path, item: str | None = None) -> Iterator[AnswerTrail]:
    """The trails of a run in its order, one in memory at a time.

    Args:
        run_dir: Folder of a run of a guarded agent.
        item: Only the answers to this item; None: all.

    Raises:
        InputError: The folder holds no run, or there is no such trail.
    """
    read_pins(run_dir)
    found = False
    for batch in read_batches(run_dir / "responses", ["uid", "variant", "artifacts"]):
        for row in batch.to_pylist():
            if item is not None and row["uid"] != item:
                continue
            for reference in json.loads(row["artifacts"] or "[]"):
                if reference.endswith(SUFFIX):
                    found = True
                    # A reference is data: its last part alone names a file.
                    file = run_dir / ARTIFACTS_FOLDER / Path(reference).name
                    yield AnswerTrail(row["uid"], row["variant"], file, _checked(file))
    if not found and item is not None:
        raise InputError(Problem(message=say("agent.no_trail_of_item", item=item), file=str(run_dir), field="--item"))
    if not found:
        raise InputError(Problem(message=say("agent.no_trails"), file=str(run_dir)))


def _checked(file: Path) -> Checked:
    try:
        content = file.read_bytes()
    except OSError:
        return Checked((), "", 0, "missing")
    checked = check_trail(content)
    if checked.fault or hashlib.sha256(content).hexdigest() == file.name.removesuffix(SUFFIX):
        return checked
    return msgspec.structs.replace(checked, fault="not_recorded")
