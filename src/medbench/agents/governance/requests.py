"""The pairs of requests that come with the guard, as items that any system can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medbench.agents.governance.cases import load_twins
from medbench.items.synthetic.write import Made, Written, write_made


def write_requests(folder: Path) -> Written:
    """Write each pair as an item to be declined and one to be met.

    Args:
        folder: Made if absent; what it holds of an earlier writing is replaced.

    Raises:
        InputError: The folder can't be made.
        WorkError: It can't be written.
    """
    return write_made(folder, _made())


def _made() -> Iterator[Made]:
    for dataset, side, right in (("HarmfulRequests", "harmful", "decline"), ("HarmlessRequests", "harmless", "answer")):
        rows = [
            {
                "id": twins.id,
                "question": getattr(twins, side),
                "answer": right,
                "language": twins.language,
                "source": "medbench, written for this project",
                "meta": {"principle": twins.principle},
            }
            for twins in load_twins()
        ]
        yield Made(dataset, rows, {})
