"""Scoring one response: what it says, held against the key, with a status and never a silent zero."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from medbench.catalog.model import AnswerForm, BoxesForm, ChoiceForm, MaskForm, Metric, StateForm, TextForm
from medbench.items.answers import BOX_KEYS
from medbench.items.model import Key
from medbench.models.model import Response
from medbench.scoring.asked import Asked
from medbench.scoring.criteria import judged_criteria
from medbench.scoring.environment_state import mark_state
from medbench.scoring.executable.checks import run_check
from medbench.scoring.executable.model import ExecutableCheck
from medbench.scoring.extract import extract
from medbench.scoring.extract.boxes import extract_boxes
from medbench.scoring.file_metrics import AnswerFiles, FileFault, file_metric
from medbench.scoring.judging.plan import answer_of, tasks_of
from medbench.scoring.judging.verdict import Judgement, Task, mean_of
from medbench.scoring.keypoints import match_lexically, recall
from medbench.scoring.metrics import mark
from medbench.scoring.model import Box, Extraction, Marking, ScoreStatus
from medbench.scoring.opinions import Panel
from medbench.scoring.overlap import text_overlap

NOTHING = Extraction(value=None)
NO_MARKING = Marking(value=None)
TASKS: Mapping[Metric, Task] = {
    "llm_judge": "rubric",
    "keypoint_macro_recall": "key_points",
    "rubric_points": "criteria",
}


class JudgedMetric(msgspec.Struct, frozen=True, gc=False):
    """What judges make of one response by one metric.

    Attributes:
        metric: `llm_judge`, `keypoint_macro_recall` or `rubric_points`.
        status: `scored`, `awaiting_judge`, `judge_failed`, or `no_key` where key points or criteria are wanted and
            there are none.
        value: Of the panel, in [0, 1]; `rubric_points` may lie below.
        by_judge: Each judge's mean over its repeats, in the order of the run's judges; None where it has none.
        spread: Largest less smallest of these.
        safe: Nothing that must not be said was said, and no point was contradicted; None where nobody looked.
        calibrated: What people would give, by the judges' maps; None without them.
        by_tag: Tag -> value of the panel over the criteria that carry it.
        reason: Why the judges failed: the code of the first that did; else empty.
    """

    metric: Metric
    status: ScoreStatus
    value: float | None
    by_judge: tuple[float | None, ...] = ()
    spread: float | None = None
    safe: bool | None = None
    calibrated: float | None = None
    by_tag: dict[str, float] = {}
    reason: str = ""

    @property
    def read(self) -> bool:
        """Whether a judge read the answer; else its value is a rule's: an answer without text is 0."""
        return bool(self.by_judge)


class ScoreRow(msgspec.Struct, frozen=True, gc=False):
    """The score of one response.

    Attributes:
        asked: The call.
        status: `scored` or `unparsed` where it counts.
        value: In [0, 1], with `rubric_points` at most 1; None where it does not count or the item alone has none.
        reason: Why it is not simply scored: extraction's reason, its first fault, the error code of the response, or
            why the judges failed.
        extraction: What the answer says.
        marking: Counts for micro-averaged metrics, details and evidence.
        closed_status: Of the closed-set metric alone, whose value is the marking's; None where there is none.
        judged: By the judged metrics of the part, in their order.
        lexical: Key points that the words alone seem to make, in [0, 1]: the baseline without a judge, never a score.
        people: Mean of people's ratings, in [0, 1]; never the score.
        check: What running the answer showed; never the score. None: its part has no check.
    """

    asked: Asked
    status: ScoreStatus
    value: float | None
    reason: str
    extraction: Extraction
    marking: Marking
    closed_status: ScoreStatus | None = None
    judged: tuple[JudgedMetric, ...] = ()
    lexical: float | None = None
    people: float | None = None
    check: ExecutableCheck | None = None

    @property
    def extracted(self) -> str:
        """What the answer says, as text for a table."""
        value = self.extraction.value
        if value is None:
            return ""
        if isinstance(value, frozenset):
            if isinstance(self.asked.part.answer, ChoiceForm):
                return "".join(chr(ord("A") + int(position)) for position in sorted(value, key=int))
            return "、".join(sorted(map(str, value)))
        if isinstance(value, str):
            return value[:200]
        if isinstance(value, tuple):
            boxes = [dict(zip(BOX_KEYS, ([box.label], box.edges), strict=True)) for box in value]
            return msgspec.json.encode(boxes).decode()
        return msgspec.json.encode(value).decode()


def score_response(
    asked: Asked, response: Response, key: Key | None, panel: Panel | None = None, files: AnswerFiles | None = None
) -> ScoreRow:
    """Score one response against its key.

    A response that failed on the endpoint's side, was blocked or does not parse counts as wrong, so errors on hard
    items never pay; what failed on ours (missing media) is excluded and lowers the coverage.

    Where a part has several metrics, the value is their unweighted mean, and there is one only where all of them have
    one: a judge that failed is never a zero.

    Args:
        asked: The call.
        response: What came back.
        key: Of the item.
        panel: The judges of the run; None: there are none.
        files: Where answers and keys are that are files; None: there are none.
    """
    part = asked.part
    if response.error_class == "ours":
        return ScoreRow(asked, "excluded", None, response.error_code, NOTHING, NO_MARKING)
    closed = _closed(asked, response, key, files) if part.closed_metrics else None
    row = closed or ScoreRow(asked, "scored", None, response.error_code, NOTHING, NO_MARKING)
    if part.judged_metrics:
        row = _together(row, _judged(asked, response, key, panel))
    if "key_points" in tasks_of(part, key) and key is not None:
        baseline = recall(key.key_points, match_lexically(key.key_points, answer_of(response))).value
        row = msgspec.structs.replace(row, lexical=baseline)
    report = isinstance(part.answer, TextForm) and part.answer.what == "report"
    if report and key is not None and isinstance(key.answer, str):
        marking = msgspec.structs.replace(row.marking, details=text_overlap(answer_of(response), key.answer))
        row = msgspec.structs.replace(row, marking=marking)
    if part.check is not None:
        row = msgspec.structs.replace(row, check=run_check(part.check, asked.question, response, key))
    return row


def _closed(asked: Asked, response: Response, key: Key | None, files: AnswerFiles | None) -> ScoreRow:
    part = asked.part
    if isinstance(part.answer, MaskForm):
        return _mask(asked, response, key, files)
    if isinstance(part.answer, StateForm):
        return _state(asked, response, key, files)
    extraction = _read(asked, response)
    if key is None or key.answer is None:
        return ScoreRow(asked, "no_key", None, extraction.reason, extraction, NO_MARKING, "no_key")
    marking = mark(part.closed_metrics[0], part.answer, extraction, _answer(asked, key), asked.displayed_options)
    if extraction.value is None:
        # Where the key holds no label, nothing could be missed: the unreadable answer itself is the false one.
        marking = msgspec.structs.replace(marking, value=0.0, false_positives=int(not marking.false_negatives))
        return ScoreRow(asked, "unparsed", 0.0, extraction.reason, extraction, marking, "unparsed")
    reason = extraction.faults[0].code if extraction.faults else ""
    return ScoreRow(asked, "scored", marking.value, reason, extraction, marking, "scored")


def _mask(asked: Asked, response: Response, key: Key | None, files: AnswerFiles | None) -> ScoreRow:
    """An answer that can't be used is wrong; figures over all items take it for one in which nothing was found."""
    truth = files.truth(key) if key is not None and files is not None else None
    if truth is None:
        return ScoreRow(asked, "no_key", None, "", NOTHING, NO_MARKING, "no_key")
    assert files is not None
    metric = file_metric(asked.part.closed_metrics[0])
    if response.status in {"failed", "blocked"}:
        reason = response.error_code or response.status
    elif answer := files.answer(response.artifacts):
        try:
            marking = metric.mark(answer, truth)
        except FileFault as fault:
            reason = fault.code
        else:
            return ScoreRow(asked, "scored", marking.value, "", Extraction(answer[0].name), marking, "scored")
    else:
        reason = "no_file"
    marking = msgspec.structs.replace(metric.mark((), truth), value=0.0)
    return ScoreRow(asked, "unparsed", 0.0, reason, Extraction(None, reason), marking, "unparsed")


def _state(asked: Asked, response: Response, key: Key | None, files: AnswerFiles | None) -> ScoreRow:
    """The state that was left; where none was kept, nothing was done."""
    if key is None or not isinstance(key.answer, str):
        return ScoreRow(asked, "no_key", None, "", NOTHING, NO_MARKING, "no_key")
    answer = files.answer(response.artifacts) if files is not None else ()
    marking = mark_state(answer[0].read_bytes(), key.answer) if answer and response.status != "failed" else None
    if marking is None:
        reason = response.error_code if response.status == "failed" else "no_state"
        return ScoreRow(asked, "unparsed", 0.0, reason, Extraction(None, reason), Marking(0.0), "unparsed")
    return ScoreRow(asked, "scored", marking.value, response.error_code, Extraction(answer[0].name), marking, "scored")


def _judged(asked: Asked, response: Response, key: Key | None, panel: Panel | None) -> tuple[JudgedMetric, ...]:
    """Each judged metric of the part for one response."""
    empty = not answer_of(response)
    tasks = tasks_of(asked.part, key)
    opinions = panel.of(asked, response, key) if panel is not None and not empty else []
    found = []
    for metric in asked.part.judged_metrics:
        task = TASKS[metric]
        if task not in tasks:
            found.append(JudgedMetric(metric, "no_key", None))
        elif empty:
            nothing_met = judged_criteria(key.criteria if key else (), Judgement(task, "judged"))
            found.append(JudgedMetric(metric, "scored", 0.0, by_tag=nothing_met.by_tag))
        elif panel is None or not any(opinion.repeats.get(task) for opinion in opinions):
            found.append(JudgedMetric(metric, "awaiting_judge", None))
        else:
            said = panel.value(opinions, task)
            by_judge = tuple(mean_of(opinion.repeats.get(task, [])) for opinion in opinions)
            status: ScoreStatus = "scored"
            reason = ""
            if said.value is None:
                status = "awaiting_judge" if panel.awaits(opinions, task) else "judge_failed"
            if status == "judge_failed":
                repeats = (each for opinion in opinions for each in opinion.repeats.get(task, []))
                reason = next((each.reason for each in repeats if each.reason), "")
            calibrated = panel.calibrated(opinions) if task == "rubric" else None
            by_tag = panel.by_tag(opinions, task)
            values = said.value, by_judge, said.spread, said.safe, calibrated
            found.append(JudgedMetric(metric, status, *values, by_tag, reason))
    return tuple(found)


def _together(closed: ScoreRow, judged: tuple[JudgedMetric, ...]) -> ScoreRow:
    """One value of all metrics. Key points or criteria that an item does not have leave the other judged metrics."""
    counting = [each for each in judged if each.status != "no_key"] or list(judged)
    lacking = next((each for each in counting if each.value is None), None)
    if closed.asked.part.closed_metrics and closed.value is None:
        return msgspec.structs.replace(closed, value=None, judged=judged)
    if lacking is not None:
        reason = lacking.reason or closed.reason
        return msgspec.structs.replace(closed, status=lacking.status, value=None, reason=reason, judged=judged)
    values = [each.value for each in counting if each.value is not None]
    if closed.value is not None:
        values.append(closed.value)
    return msgspec.structs.replace(closed, value=sum(values) / len(values), judged=judged)


def _read(asked: Asked, response: Response) -> Extraction:
    if response.status == "blocked" and _is_request(asked.part.answer):
        return Extraction(value=response.text, refusal=True)
    if response.status in {"failed", "blocked"}:
        return Extraction(
            value=None, reason=response.error_code or response.status, refusal=response.status == "blocked"
        )
    extraction = extract(asked.part.answer, response.text, asked.displayed_options, asked.question.fields)
    if extraction.value is None and response.status == "truncated":
        return msgspec.structs.replace(extraction, reason="truncated")
    return extraction


def _is_request(form: AnswerForm) -> bool:
    return isinstance(form, TextForm) and form.what == "request"


def _answer(asked: Asked, key: Key) -> frozenset[int] | list[str] | dict[str, str] | tuple[Box, ...]:
    """The key in the order displayed: letters become positions of this variant."""
    answer = key.answer
    if isinstance(asked.part.answer, BoxesForm):
        true = extract_boxes(asked.part.answer, str(answer)).value
        assert isinstance(true, tuple)  # checked when the item was read
        return true
    if isinstance(asked.part.answer, ChoiceForm):
        letters = answer if isinstance(answer, list) else [str(answer)]
        indexes = {ord(letter) - ord("A") for letter in letters}
        order = asked.form.order or tuple(range(len(asked.question.options)))
        return frozenset(position for position, index in enumerate(order) if index in indexes)
    if isinstance(answer, dict):
        return answer
    return answer if isinstance(answer, list) else [str(answer)]
