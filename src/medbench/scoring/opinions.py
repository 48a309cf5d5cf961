"""What all judges of a run said of each response, streamed in the order of the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from statistics import median

import msgspec

from medbench.items.model import Key
from medbench.models.model import Response
from medbench.scoring.asked import Asked
from medbench.scoring.judging.plan import SLOTS, JudgePins, judge_calls, repeats_of
from medbench.scoring.judging.verdict import Judgement, PanelValue, Task, mean_of, panel
from medbench.stats import CalibrationMap

Said = tuple[int, bytes, Judgement]
"""Place among a judge's calls, hash of the call that was made (`JudgeCall.hash`), and the judgement."""


class Opinion(msgspec.Struct, frozen=True, gc=False):
    """What one judge said of one response.

    Attributes:
        judge: The judge.
        repeats: Its judgements by task; empty where it was not asked.
        lacking: Tasks of which it has a call yet to make.
    """

    judge: JudgePins
    repeats: dict[Task, list[Judgement]]
    lacking: frozenset[Task] = frozenset()


class Panel:
    """The judges of a run and their judgements.

    Attributes:
        outdated: Of the responses asked for so far, those with a judgement of another answer, key or wording, which
            does not count: the call is to be made anew.
        awaited: Judge's id -> those of which it has a call yet to make, made anew or for the first time; judges left
            out are not waited for.
    """

    def __init__(
        self,
        judges: Sequence[JudgePins],
        said: Mapping[str, Iterable[Said]],
        *,
        left_out: Collection[str] = (),
        quorum: int = 0,
        calibrations: Mapping[str, CalibrationMap] | None = None,
    ) -> None:
        """Take judges and what they said.

        Args:
            judges: In the order in which they came.
            said: Judge's id -> its judgements in order.
            left_out: Ids of judges that nobody waits for.
            quorum: Judges that must have judged an answer; 0: most of those that are not left out.
            calibrations: Judge's id -> map from its rubric score to people's.
        """
        self.judges = tuple(judges)
        self.left_out = frozenset(left_out)
        self._counting = {judge.id for judge in self.judges} - self.left_out
        self.quorum = quorum or len(self._counting) // 2 + 1
        self.outdated = 0
        self.awaited: Counter[str] = Counter()
        self._calibrations = calibrations or {}
        self._said = [_by_response(said.get(judge.id, ())) for judge in self.judges]
        self._next = [next(each, None) for each in self._said]

    def of(self, asked: Asked, response: Response, key: Key | None) -> list[Opinion]:
        """The opinions on one response; responses are asked for in the order of the plan."""
        opinions = []
        outdated = False
        for index, judge in enumerate(self.judges):
            upcoming = self._next[index]
            while upcoming is not None and upcoming[0] < asked.seq:
                upcoming = self._next[index] = next(self._said[index], None)
            said = upcoming[1] if upcoming is not None and upcoming[0] == asked.seq else []
            calls = list(judge_calls(asked, response, key, judge))
            wanted = {call.seq: call.hash(judge) for call in calls}
            outdated = outdated or any(wanted.get(place, made) != made for place, made, _ in said)
            current = {place: judgement for place, made, judgement in said if wanted.get(place) == made}
            lacking = frozenset(call.task for call in calls if call.seq not in current)
            if judge.id in self._counting and lacking:
                self.awaited[judge.id] += 1
            opinions.append(Opinion(judge, repeats_of(list(current.items()), key, judge), lacking))
        self.outdated += outdated
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

    def awaits(self, opinions: Sequence[Opinion], task: Task) -> bool:
        """Whether a judge that counts has a call yet to make in one task."""
        return any(opinion.judge.id in self._counting and task in opinion.lacking for opinion in opinions)

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
