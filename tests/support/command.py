"""The command line as a user has it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

COMMAND = (sys.executable, "-m", "medbench")


def environment(**more: str) -> dict[str, str]:
    """An environment in English without keys or proxies of the machine."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower() and "KEY" not in name}
    return kept | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "COLUMNS": "200"} | more


def medbench(*arguments: object, cwd: Path | None = None, timeout: float = 120, **more: str):
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
        env=environment(**more),
        check=False,
    )


def medbench_json(*arguments: object, expect: int = 0, **more):
    """Run a command with --json and return its object."""
    done = medbench(*arguments, "--json", **more)
    assert done.returncode == expect, done.stderr + done.stdout
    return json.loads(done.stdout)


def write_items(path: Path, count: int, *, dataset: str = "MedExam", answer: bool = True) -> Path:
    """Items of single choice with five options; synthetic, the right option moves from A to E."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            item = {
                "id": f"q{number}",
                "dataset": dataset,
                "question": f"Synthetic question {number}: which option is right?",
                "options": ["alpha", "beta", "gamma", "delta", "epsilon"],
                "language": "en",
            }
            if answer:
                item["answer"] = "ABCDE"[number % 5]
            file.write(json.dumps(item) + "\n")
    return path
