"""Other evaluation tools, each through its own command line with its defaults but for the concurrency.

Each is installed from PyPI into a virtual environment of its own under bench/.envs and is given the same items; writing
them in the tool's form is not part of its time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from _common import ENVIRONMENTS, LETTERS, REPOSITORY, read_items

_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


@dataclass(frozen=True)
class Job:
    """What to ask, where and how fast.

    Attributes:
        items: MedBench item JSONL.
        url: Base URL of the endpoint, with /v1.
        concurrency: Requests in flight at most.
        folder: For everything that the tool reads and writes.
    """

    items: Path
    url: str
    concurrency: int
    folder: Path


@dataclass(frozen=True)
class Tool:
    """An evaluation tool.

    Attributes:
        name: As shown; also its environment's folder.
        requirements: What pip installs, pinned.
        command: Prepares a job and gives program and arguments; the program is in the environment's bin.
        environment: Environment variables, by the job.
    """

    name: str
    requirements: tuple[str, ...]
    command: Callable[[Job], list[str]]
    environment: Callable[[Job], Mapping[str, str]] = field(default=lambda _: {})

    @property
    def home(self) -> Path:
        """Its virtual environment."""
        return ENVIRONMENTS / self.name

    def install(self) -> None:
        """Install it unless this very version is there."""
        stamp = self.home / "requirements.txt"
        wanted = "\n".join(self.requirements) + "\n"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print(f"installing {self.name} into {self.home}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(self.home)], check=True)
        subprocess.run([str(self.home / "bin" / "pip"), "install", "--quiet", *self.requirements], check=True)
        stamp.write_text(wanted)

    def prepared(self, job: Job) -> list[str]:
        """Prepare the job; the whole command."""
        program, *arguments = self.command(job)
        return [str(self.home / "bin" / program), *arguments]


def _inspect_ai(job: Job) -> list[str]:
    return [
        *("inspect", "eval", f"{REPOSITORY / 'bench' / 'peers' / 'inspect_task.py'}@throughput"),
        *("-T", f"items={job.items}", "--model", "openai-api/bench/bench"),
        *("--max-connections", str(job.concurrency), "--temperature", "0", "--max-tokens", "16"),
        *("--display", "none", "--log-dir", str(job.folder / "logs")),
    ]


def _evalscope(job: Job) -> list[str]:
    data = job.folder / "data"
    data.mkdir()
    with (data / "default_val.jsonl").open("w", encoding="utf-8") as file:
        for item in read_items(job.items):
            options = dict(zip(LETTERS, item["options"], strict=True))
            record = {"id": item["id"], "question": item["question"], **options, "answer": item["answer"]}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    arguments = {"general_mcq": {"local_path": str(data), "subset_list": ["default"]}}
    return [
        *("evalscope", "eval", "--model", "bench", "--eval-type", "openai_api"),
        *("--api-url", job.url, "--api-key", "none"),
        *("--datasets", "general_mcq", "--dataset-args", json.dumps(arguments)),
        *("--eval-batch-size", str(job.concurrency), "--generation-config", '{"temperature": 0, "max_tokens": 16}'),
        *("--work-dir", str(job.folder / "out"), "--no-timestamp"),
    ]


def _lm_eval(job: Job) -> list[str]:
    question = (
        r"{{question}}\n{% for option in options %}{{'ABCDE'[loop.index0]}}. {{option}}\n{% endfor %}只回答选项字母。"
    )
    task = {
        "task": "throughput",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(job.items)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": question.replace(r"\n", "\n"),
        "doc_to_target": "answer",
        "generation_kwargs": {"until": [], "max_gen_toks": 16, "temperature": 0},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    tasks = job.folder / "tasks"
    tasks.mkdir()
    # JSON is YAML.
    (tasks / "throughput.yaml").write_text(json.dumps(task, ensure_ascii=False), encoding="utf-8")
    model = f"base_url={job.url}/chat/completions,model=bench,num_concurrent={job.concurrency}"
    return [
        *("lm_eval", "run", "--model", "local-chat-completions", "--model_args", model, "--apply_chat_template"),
        *("--tasks", "throughput", "--include_path", str(tasks)),
        *("--output_path", str(job.folder / "out"), "--log_samples"),
    ]


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "inspect_ai",
            ("inspect-ai==0.3.285", "openai==3.54.0"),
            _inspect_ai,
            lambda job: {"BENCH_API_KEY": "none", "BENCH_BASE_URL": job.url},
        ),
        Tool("evalscope", ("evalscope==1.14.1",), _evalscope, lambda _: _OFFLINE),
        Tool(
            "lm_eval",
            ("lm-eval[api]==0.4.13",),
            _lm_eval,
            lambda job: {**_OFFLINE, "OPENAI_API_KEY": "none", "HF_HOME": str(job.folder / "huggingface")},
        ),
    )
}
