"""Answers that are files shown beside their keys: only where keys are opened a picture can hold both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from medbench.errors import InputError, WorkError
from medbench.items.keys import open_keys
from medbench.items.model import Key, Question
from medbench.items.source import ItemSource
from medbench.scoring.file_metrics import AnswerFiles, CaseSlices, FileFault, ShownMetric, file_metric
from medbench.store.artifacts import Artifacts


class Answered(NamedTuple):
    """An answer to be shown.

    Attributes:
        uid: Of the item.
        metric: That it was scored by.
        artifacts: References of its files.
    """

    uid: str
    metric: str
    artifacts: tuple[str, ...]


def show_cases(
    answers: Sequence[Answered],
    source: ItemSource,
    artifacts: Artifacts,
    *,
    catalog_folder: Path | None,
    keys_fingerprint: str,
) -> Iterator[CaseSlices | FileFault]:
    """Draw answers beside their keys, or say why one can't be drawn. Never to be called under hidden disclosure.

    Args:
        answers: To draw; one volume at a time is in memory.
        source: The items of the run.
        artifacts: Files of its answers.
        catalog_folder: Folder of own dataset definitions.
        keys_fingerprint: Of the keys that scored the answers: others would tell another story than the scores.

    Yields:
        The slices of each answer, in their order, or a fault: a code of `ShownMetric.show`, `keys_gone`,
        `keys_changed`, `no_file`, `no_metric` or `not_shown`.
    """
    wanted = {each.uid for each in answers}
    try:
        opened = open_keys(source.path, catalog_folder=catalog_folder)
        every = opened.keys()
        keys = {key.uid: key for key in every if key.uid in wanted}
        changed = opened.fingerprint() != keys_fingerprint
    except (InputError, WorkError, OSError):
        yield from (FileFault("keys_gone") for _ in answers)
        return
    if changed:
        yield from (FileFault("keys_changed") for _ in answers)
        return
    # No further than the last of them.
    found = islice((question for question in source.questions() if question.uid in wanted), len(wanted))
    questions = {question.uid: question for question in found}
    files = AnswerFiles(artifacts, opened)
    for each in answers:
        question = questions[each.uid]
        media = {medium.path: path for medium in question.media if (path := source.media_path(medium)) is not None}
        try:
            yield _shown(each, question, media, keys[each.uid], files)
        except FileFault as fault:
            yield fault


def _shown(
    answered: Answered, question: Question, media: Mapping[str, Path], key: Key, files: AnswerFiles
) -> CaseSlices:
    try:
        metric = file_metric(answered.metric)
    except InputError as error:
        raise FileFault("no_metric") from error
    try:
        truth = files.truth(key)
    except InputError as error:
        raise FileFault("keys_gone") from error
    if not isinstance(metric, ShownMetric):
        raise FileFault("not_shown")
    answer = files.answer(answered.artifacts)
    if not answer:
        raise FileFault("no_file")
    assert truth is not None  # it was scored, by these keys
    return metric.show(question, media, answer, truth)
