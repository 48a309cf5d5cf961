"""The benchmark's items as an inspect_ai task; `inspect eval` runs it in inspect_ai's own virtual environment."""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import Sample, json_dataset
from inspect_ai.scorer import pattern
from inspect_ai.solver import generate


def to_sample(record: dict[str, Any]) -> Sample:
    options = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCDE", record["options"], strict=True))
    prompt = f"{record['question']}\n{options}\n只回答选项字母。"
    return Sample(id=record["id"], input=prompt, target=record["answer"])


@task
def throughput(items: str) -> Task:
    # `multiple_choice` would want "ANSWER: X"; the endpoint answers a bare letter, so a pattern scores it.
    return Task(dataset=json_dataset(items, to_sample), solver=generate(), scorer=pattern("([A-E])"))
