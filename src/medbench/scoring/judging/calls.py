"""The calls that a judge has to make for the responses of a run; here questions meet their keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from medbench.models.model import Response
from medbench.scoring.asked import Asked
from medbench.scoring.judging.plan import JudgeCall, JudgePins, judge_calls
from medbench.scoring.keys_along import KeysAlong


class JudgePlanner:
    """Yields judge calls in the order of the plan; keys are read along with it, once."""

    def __init__(self, items: Path, catalog_folder: Path | None) -> None:
        self._keys = KeysAlong(items, catalog_folder)

    def calls(self, answered: Iterable[tuple[Asked, Response]], pins: JudgePins) -> Iterator[JudgeCall]:
        """The calls for some responses, in the order of the plan; later ones may be asked for later.

        Args:
            answered: Calls with their responses.
            pins: The judge.
        """
        for asked, response in answered:
            yield from judge_calls(asked, response, self._keys.of(asked.question.uid), pins)
