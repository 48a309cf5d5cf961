"""Triage: the form of answer that a task asks for, and what it demands of the answer that code can check."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from medbench.agents.orchestration.text_protocol import objects
from medbench.catalog.model import (
    AnswerForm,
    BoxesForm,
    ChoiceForm,
    FieldsForm,
    LabelForm,
    MaskForm,
    StateForm,
    TextForm,
)
from medbench.items.model import ItemLanguage, Question
from medbench.models.model import Context

Form = Literal["choice", "label", "fields", "boxes", "mask", "state", "sql", "calls", "text"]
CLOSED: frozenset[Form] = frozenset({"choice", "label", "fields", "boxes", "mask"})

_API = re.compile(r"\bAPI\s*\d*\s*(?:描述)?\s*[:：]\s*([A-Za-z_]\w{2,63})")
_CHINESE_LENGTHS = (
    ("most", re.compile(r"(?:不超过|不多于|不得超过|少于|控制在|限)\s*(\d{2,5})\s*个?(?:汉字|字)")),
    ("most", re.compile(r"(\d{2,5})\s*个?(?:汉字|字)(?:以内|之内|以下)")),
    ("least", re.compile(r"(?:不少于|不低于|至少)\s*(\d{2,5})\s*个?(?:汉字|字)")),
)
_ENGLISH_LENGTHS = (
    (
        "most",
        re.compile(r"(?:at most|no more than|not more than|under|fewer than|up to|within)\s+(\d{2,5})\s+words", re.I),
    ),
    ("least", re.compile(r"(?:at least|no fewer than|not fewer than)\s+(\d{2,5})\s+words", re.I)),
)
_JSON = re.compile(
    r"(?:输出|返回|给出|回答)[^。\n]{0,16}JSON|以\s*JSON|按[^。\n]{0,12}JSON[^。\n]{0,8}(?:输出|返回|回答)"
    r"|(?:output|return|answer|respond|reply)[^.\n]{0,40}\bJSON\b",
    re.I,
)
_DEMAND = re.compile(r"要求|需要|必须|请|应|不要|至少|包括|must|should|please|include|do not|list|explain", re.I)
_SENTENCE = re.compile(r"[^。！？\n!?.]+[。！？!?.]?")
_SQL = re.compile(r"\b(?:select|with|insert|update|delete|merge|create|begin|declare)\b", re.I)
_HANZI = re.compile(r"[\u4e00-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]{2,}")
MOST_DEMANDS = 8
_LONGEST_DEMAND = 120


@dataclass(frozen=True, slots=True)
class Task:
    """What a question asks for.

    Attributes:
        form: How its answer looks.
        language: Of the question.
        fields: Required keys of a JSON answer.
        apis: Names of the APIs that the prompt describes.
        most: Most characters (Chinese) or words (English); None: no limit.
        least: Likewise, the fewest.
        json: The answer holds JSON though the catalogue calls it text.
        demands: Sentences of the prompt that demand something, shortened, for the critic.
    """

    form: Form
    language: ItemLanguage
    fields: tuple[str, ...] = ()
    apis: tuple[str, ...] = ()
    most: int | None = None
    least: int | None = None
    json: bool = False
    demands: tuple[str, ...] = ()

    @property
    def closed(self) -> bool:
        """The answer is read by code and held against a key."""
        return self.form in CLOSED

    @property
    def stated(self) -> tuple[str, ...]:
        """What code checks, for the trace."""
        limits = (("most", self.most), ("least", self.least))
        found = [f"{name}={value}" for name, value in limits if value is not None]
        found += ["json"] if self.json else []
        found += [f"fields={','.join(self.fields)}"] if self.fields else []
        return tuple(found + ([f"apis={','.join(self.apis)}"] if self.apis else []))


def triage(question: Question, context: Context) -> Task:
    """What a question asks for, by its form in the catalogue and by what the prompt says."""
    prompt, form = context.prompt, context.form
    kind = _kind(form, prompt)
    if kind in CLOSED:
        fields = (form.fields or question.fields) if isinstance(form, FieldsForm) else ()
        return Task(kind, question.language, fields=fields)
    lengths = _CHINESE_LENGTHS if question.language == "zh" else _ENGLISH_LENGTHS
    limits: dict[str, list[int]] = {"most": [], "least": []}
    for name, pattern in lengths:
        limits[name] += [int(number) for number in pattern.findall(prompt)]
    sentences = (sentence.strip() for sentence in _SENTENCE.findall(prompt))
    demands = [each[:_LONGEST_DEMAND] for each in sentences if len(each) >= 4 and _DEMAND.search(each)]
    return Task(
        kind,
        question.language,
        apis=tuple(dict.fromkeys(_API.findall(prompt))) if kind == "calls" else (),
        most=min(limits["most"], default=None),
        least=max(limits["least"], default=None),
        json=bool(_JSON.search(prompt)),
        # What a task demands stands mostly at its end.
        demands=tuple(dict.fromkeys(demands))[-MOST_DEMANDS:],
    )


def _kind(form: AnswerForm, prompt: str) -> Form:
    match form:
        case ChoiceForm():
            return "choice"
        case LabelForm():
            return "label"
        case FieldsForm():
            return "fields"
        case BoxesForm():
            return "boxes"
        case StateForm():
            return "state"
        case MaskForm():
            return "mask"
        case TextForm(what="sql"):
            return "sql"
        case _:
            return "calls" if _API.search(prompt) else "text"


def faults(task: Task, text: str, *, readable: bool) -> tuple[str, ...]:
    """What is wrong with an answer by its form alone; nothing of whether it is right.

    Args:
        task: What was asked for.
        text: The answer.
        readable: Whether the scorer can read it in its form.

    Returns:
        Problems in the question's language, for the backbone to mend.
    """
    zh = task.language == "zh"
    if not text.strip():
        return ("回答为空。" if zh else "The answer is empty.",)
    if not readable:
        return ("无法按题目要求的形式读出答案。" if zh else "The answer can't be read in the form asked for.",)
    found = []
    if task.form == "fields" or task.json:
        found += _json_faults(task, text)
    if task.form == "sql" and not _SQL.search(text):
        found.append("没有 SQL 语句。" if zh else "There is no SQL statement.")
    if task.apis and not any(name in text for name in task.apis):
        names = ", ".join(task.apis)
        found.append(f"没有使用题目给出的接口：{names}。" if zh else f"None of the APIs is used: {names}.")
    if not task.closed and task.form == "text":
        found += _prose_faults(task, text)
    return tuple(found)


def _json_faults(task: Task, text: str) -> list[str]:
    zh = task.language == "zh"
    value = next(objects(text), None)
    if value is None:
        if "[" in text and task.json:
            return []
        return ["没有完整的 JSON。" if zh else "There is no whole JSON."]
    given = {_folded(str(key)) for key in value}
    missing = [field for field in task.fields if _folded(field) not in given]
    if not missing:
        return []
    names = "、".join(missing) if zh else ", ".join(missing)
    return [f"缺少字段：{names}。" if zh else f"Fields are missing: {names}."]


def _folded(key: str) -> str:
    return "".join(unicodedata.normalize("NFKC", key).split())


def _prose_faults(task: Task, text: str) -> list[str]:
    zh = task.language == "zh"
    hanzi, words = len(_HANZI.findall(text)), len(_LATIN.findall(text))
    size, unit = (hanzi, "字") if zh else (len(text.split()), "words")
    found = []
    if task.most is not None and size > task.most:
        found.append(f"超过 {task.most}{unit}（现 {size}）。" if zh else f"More than {task.most} {unit} ({size}).")
    if task.least is not None and size < task.least:
        found.append(f"不足 {task.least}{unit}（现 {size}）。" if zh else f"Fewer than {task.least} {unit} ({size}).")
    if zh and words > 20 and hanzi < words:
        found.append("应使用中文回答。")
    if not zh and hanzi > 40 and words < hanzi:
        found.append("The answer must be in English.")
    return found
