"""What all judges of a run said of each response, streamed in the order of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from statistics import median

import msgspec

from medbench.items.model import Key
from medbench.scoring.judging.plan import SLOTS, JudgePins, repeats_of
from medbench.scoring.judging.verdict import Judgement, PanelValue, Task, mean_of, panel
from medbench.stats import CalibrationMap

Said = tuple[int, Judgement]
"""Place among a judge's calls, and the judgement."""


class Opinion(msgspec.Struct, frozen=True, gc=False):
    """What one judge said of one response: its repeats by task; empty where it was not asked."""

    judge: JudgePins
    repeats: dict[Task, list[Judgement]]


class Panel:
    """The judges of a run and their judgements."""

    def __init__(
        self,
        judges: Sequence[JudgePins],
        said: Mapping[str, Iterable[Said]],
        *,
        quorum: int = 0,
        calibrations: Mapping[str, CalibrationMap] | None = None,
    ) -> None:
        """Take judges and what they said.

        Args:
            judges: In the order in which they came.
            said: Judge's id -> its judgements in order.
            quorum: Judges that must have judged an answer; 0: most of them.
            calibrations: Judge's id -> map from its rubric score to people's.
        """
        self.judges = tuple(judges)
        self.quorum = quorum or len(self.judges) // 2 + 1
        self._calibrations = calibrations or {}
        self._said = [_by_response(said.get(judge.id, ())) for judge in self.judges]
        self._next = [next(each, None) for each in self._said]

    def of(self, seq: int, key: Key | None) -> list[Opinion]:
        """The opinions on one response; responses are asked for in the order of the plan."""
        opinions = []
        for index, judge in enumerate(self.judges):
            upcoming = self._next[index]
            while upcoming is not None and upcoming[0] < seq:
                upcoming = self._next[index] = next(self._said[index], None)
            repeats = repeats_of(upcoming[1], key, judge) if upcoming is not None and upcoming[0] == seq else {}
            opinions.append(Opinion(judge, repeats))
        return opinions

    def calibrated(self, opinions: Sequence[Opinion]) -> float | None:
        """Median of what people would give by each judge's map; None unless all judges that rated have one."""
        values = []
        for opinion in opinions:
            mean = mean_of(opinion.repeats.get("rubric", []))
            if mean is None:
                continue
            known = self._calibrations.get(opinion.judge.id)
            if known is None:
                return None
            values.append(float(known.predict([mean])[0]))
        return median(values) if len(values) >= self.quorum else None

    def value(self, opinions: Sequence[Opinion], task: Task) -> PanelValue:
        """What the panel says in one task; a judge that was not asked, or has not answered yet, does not count."""
        return panel([opinion.repeats[task] for opinion in opinions if opinion.repeats.get(task)], self.quorum)

    def by_tag(self, opinions: Sequence[Opinion], task: Task) -> dict[str, float]:
        """What the panel says in one task by tag; tags without a quorum are left out."""
        several = [opinion.repeats[task] for opinion in opinions if opinion.repeats.get(task)]
        tags = dict.fromkeys(tag for repeats in several for each in repeats for tag in each.by_tag)
        found = {}
        for tag in tags:
            tagged = [[msgspec.structs.replace(each, value=each.by_tag.get(tag)) for each in rs] for rs in several]
            if (value := panel(tagged, self.quorum).value) is not None:
                found[tag] = value
        return found


def _by_response(said: Iterable[Said]) -> Iterator[tuple[int, list[Said]]]:
    for seq, several in groupby(said, key=lambda each: each[0] // SLOTS):
        yield seq, list(several)
