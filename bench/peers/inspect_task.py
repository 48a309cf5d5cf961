"""The benchmark's items as an inspect_ai task; `inspect eval` runs it in a virtual environment of its own."""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import Sample, json_dataset
from inspect_ai.scorer import choice
from inspect_ai.solver import multiple_choice


def to_sample(record: dict[str, Any]) -> Sample:
    return Sample(id=record["id"], input=record["question"], choices=record["options"], target=record["answer"])


@task
def throughput(items: str) -> Task:
    return Task(dataset=json_dataset(items, to_sample), solver=multiple_choice(), scorer=choice())
