"""Which judgements an answer needs, and what they add up to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from medbench.catalog.model import Part
from medbench.items.model import Key
from medbench.models.model import Identity, Response
from medbench.scoring.asked import Asked
from medbench.scoring.criteria import judged_criteria
from medbench.scoring.extract.reasoning import strip_reasoning
from medbench.scoring.judging.prompt import Case, Prompt, criteria_prompt, key_point_prompt, rubric_prompt
from medbench.scoring.judging.quote import shown
from medbench.scoring.judging.rubric import load_rubric
from medbench.scoring.judging.verdict import Judgement, Task
from medbench.scoring.keypoints import judged_recall

SLOTS = 1 << 14
"""Judge calls that a response may take: its place in the plan times this is the place of its first one."""
POINTS = 1 << 10
"""Places of one repeat: the rubric's, then those of the key points, then from the middle on those of the criteria."""
FIRST_CRITERION = POINTS // 2
MOST_REPEATS = SLOTS // POINTS
CONTRACT = 2
"""Raise this where prompts or the reading of replies change what a judge says."""


class JudgePins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A judge as an instrument: another model, wording or way of asking is another one.

    Attributes:
        model: The model.
        repeats: How often each answer is judged.
        points: Key points, or criteria, of an answer in one call, or a call each.
        contract: Version of prompts and reading.
    """

    model: Identity
    repeats: int = 1
    points: Literal["together", "one_by_one"] = "together"
    contract: int = CONTRACT

    @property
    def id(self) -> str:
        """Short hash."""
        whole = msgspec.json.encode(self, order="deterministic")
        return hashlib.sha256(whole).hexdigest()[:12]

    @property
    def kind(self) -> str:
        """Kind of its calls in a ledger."""
        return f"judge:{self.id}"


class JudgeCall(msgspec.Struct, frozen=True, gc=False):
    """One judgement to be made.

    Attributes:
        seq: Place among the calls of a judge.
        asked: The call whose answer is judged.
        answer: Without reasoning.
        key: Of the item.
        task: What is judged.
        repeat: Number of the repeat, from 0.
        points: Indices of the key points, or of the criteria, judged in this call.
    """

    seq: int
    asked: Asked
    answer: str
    key: Key | None
    task: Task
    repeat: int
    points: tuple[int, ...] = ()

    @property
    def item(self) -> str:
        """The item that it is about."""
        return self.asked.item

    def prompt(self) -> Prompt:
        """What the judge is asked."""
        question = self.asked.question
        case = Case(self.asked.shown_question, self.answer, self.key, question.language)
        if self.task == "rubric":
            return rubric_prompt(case, load_rubric(self.asked.part.rubric), repeat=self.repeat)
        assert self.key is not None
        if self.task == "criteria":
            criteria = [self.key.criteria[index] for index in self.points]
            return criteria_prompt(case, criteria, seed=question.uid, repeat=self.repeat)
        points = [self.key.key_points[index] for index in self.points]
        return key_point_prompt(case, points, seed=question.uid, repeat=self.repeat)

    def hash(self, pins: JudgePins) -> bytes:
        """What the judgement depends on: judge, answer, key, rubric."""
        digest = hashlib.blake2b(digest_size=16)
        rubric = load_rubric(self.asked.part.rubric).version() if self.task == "rubric" else ""
        for text in (pins.id, self.asked.question.uid, self.task, rubric, self.answer):
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(msgspec.json.encode((self.asked.variant, self.repeat, self.points, self.key)))
        return digest.digest()


def tasks_of(part: Part, key: Key | None) -> tuple[Task, ...]:
    """What of an answer is judged: key points and criteria need a key that has some, a general rubric needs none."""
    tasks: list[Task] = []
    if "llm_judge" in part.metrics:
        tasks.append("rubric")
    if "keypoint_macro_recall" in part.metrics and key is not None and key.key_points:
        tasks.append("key_points")
    if "rubric_points" in part.metrics and key is not None and key.criteria:
        tasks.append("criteria")
    return tuple(tasks)


def answer_of(response: Response) -> str:
    """What is judged of a response; empty where there is nothing to be seen, which is wrong without a judge."""
    answer = strip_reasoning(response.text) if response.status in {"ok", "truncated"} else ""
    return answer if answer.isascii() or shown(answer)[0] else ""


def judge_calls(asked: Asked, response: Response, key: Key | None, pins: JudgePins) -> Iterator[JudgeCall]:
    """The calls that a judge needs for one response; none where no judge is needed or nothing was answered."""
    if not asked.part.judged_metrics:
        return
    answer = answer_of(response)
    if not answer:
        return
    for repeat in range(pins.repeats):
        first = asked.seq * SLOTS + repeat * POINTS
        for task in tasks_of(asked.part, key):
            if task == "rubric":
                yield JudgeCall(first, asked, answer, key, task, repeat)
                continue
            assert key is not None
            base = first + (1 if task == "key_points" else FIRST_CRITERION)
            indices = tuple(range(len(key.key_points if task == "key_points" else key.criteria)))
            groups = [indices] if pins.points == "together" else [(index,) for index in indices]
            for group in groups:
                yield JudgeCall(base + group[0], asked, answer, key, task, repeat, group)


def repeats_of(
    judgements: Sequence[tuple[int, Judgement]], key: Key | None, pins: JudgePins
) -> dict[Task, list[Judgement]]:
    """The judgements of one response by one judge, as one per task and repeat.

    Points and criteria that were judged one by one are put together; a repeat that lacks one of them has failed.

    Args:
        judgements: (place among the judge's calls, judgement).
        key: Of the item.
        pins: The judge.
    """
    found: dict[Task, list[Judgement]] = {}
    pieces: dict[tuple[int, Task], list[tuple[int, Judgement]]] = {}
    for seq, judgement in judgements:
        if judgement.task == "rubric":
            found.setdefault("rubric", []).append(judgement)
        else:
            first = 1 if judgement.task == "key_points" else FIRST_CRITERION
            place = seq % SLOTS // POINTS, judgement.task
            pieces.setdefault(place, []).append((seq % POINTS - first, judgement))
    points, criteria = (key.key_points, key.criteria) if key is not None else ((), ())
    for (_, task), several in pieces.items():
        count = len(points if task == "key_points" else criteria)
        whole = _together(task, several, count) if pins.points == "one_by_one" else several[0][1]
        reckoned = judged_recall(points, whole) if task == "key_points" else judged_criteria(criteria, whole)
        found.setdefault(task, []).append(reckoned)
    return found


def _together(task: Task, pieces: Sequence[tuple[int, Judgement]], count: int) -> Judgement:
    failed = next((judgement for _, judgement in pieces if judgement.status != "judged"), None)
    if failed is not None:
        return failed
    if len(pieces) != count:
        return Judgement(task, "judge_failed", reason="incomplete")
    points = [msgspec.structs.replace(found, point=index) for index, one in pieces for found in one.points]
    return Judgement(task, "judged", points=tuple(points), cut=any(one.cut for _, one in pieces))
