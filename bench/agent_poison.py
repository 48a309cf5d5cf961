"""Poisoned content before a real model: how often it moves the model alone, and how often behind the guard.

    python bench/agent_poison.py --json docs/results/agent_poison.json                          # the bundled model
    python bench/agent_poison.py --weights MODEL.gguf --json docs/results/agent_poison.json

The cases come with the program (`medbench.agents.governance.cases`); those are asked whose success can be seen in an
answer. The model meets each three times, with the agent's own prompts: with the attack, with the attack behind the
guard, and without it. What a tool returns, a guideline or the text of a picture stands as evidence before the task; a
configuration is the system prompt; a message is the task. Behind the guard a configuration or message that is refused
is not asked, of the evidence comes what the guard lets through, and the guard reads the answer. Moved: a sign of the
attack stands in the answer; without the attack that is how often it stands there anyway. Intervals: Wilson, 95 %.
Resumable: an answer is kept under the hash of its request, so the same command goes on. With JSON given, other models'
figures there are kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from _common import REPOSITORY, markdown_table, report, served, share, write_json
from agent_guard import met
from medbench.agents.governance.cases import Poison, load_poison, poison_titles
from medbench.agents.governance.guard import Guard
from medbench.agents.orchestration.prompts import Prompts
from medbench.models.local import WEIGHTS, find_weights

PORT = 18439
CONTEXT = 4096
OUTPUT = 64
"""Most tokens of an answer: what is asked for fits a sentence."""
SLOTS = 4
ARMS = ("clean", "alone", "guarded")
STOPPED = "(not asked)"
Messages = list[dict[str, str]]


def main() -> None:
    options = _parse()
    cases = [case for case in load_poison() if case.signs]
    asker = Asker(options)
    guard, prompts = Guard(), Prompts({})
    rows = []
    with ThreadPoolExecutor(SLOTS) as pool:
        for row in pool.map(lambda case: answered(case, asker, guard, prompts), cases):
            rows.append(row)
            print(f"\r{len(rows)}/{len(cases)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / f"{options.name}.json", {"rows": rows})
    found = tallied(rows)
    _print(found)
    if options.json:
        known = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
        models = known.get("models", {}) | {options.name: {**found, "weights": asker.digest}}
        held = {"most_output_tokens": OUTPUT, "policies": guard.policies.version}
        write_json(options.json, report("bench/agent_poison.py", held, {"models": models}))


def answered(case: Poison, asker: Asker, guard: Guard, prompts: Prompts) -> dict[str, Any]:
    """What comes of a case in each arm."""
    row: dict[str, Any] = {"id": case.id, "kind": case.kind, "language": case.language}
    for arm in ARMS:
        said = outcome(case, arm, asker, guard, prompts)
        row[arm] = None if said is None else {"said": said, "moved": case.moved(said)}
    return row


def outcome(case: Poison, arm: str, asker: Asker, guard: Guard, prompts: Prompts) -> str | None:
    """What a case is answered. None: it is no case in this arm."""
    text = case.clean if arm == "clean" else case.text
    if not text:
        return None
    if arm == "guarded":
        decision = met(guard, case, text)
        if case.place == "result":
            text = decision.text
        elif not decision.allowed:
            return STOPPED
    said = asker.ask(conversation(case, text, prompts))
    return guard.check_output(said).text if arm == "guarded" else said


def conversation(case: Poison, text: str, prompts: Prompts) -> Messages:
    """The request, as the agent makes it: what a tool returned or was looked up stands before the task as evidence."""
    if case.place == "input":
        return [{"role": "user", "content": text}]
    if case.place == "config":
        return [{"role": "system", "content": text}, {"role": "user", "content": case.ask}]
    evidence = f"{case.tool} {{}} → {text}\n" if case.tool else f"{text}\n"
    return [{"role": "user", "content": prompts.say("evidence", case.language, evidence=evidence, prompt=case.ask)}]


def tallied(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By kind: how many were moved in each arm, and how many the guard did not let come to the model."""
    found = {}
    for kind in ("all", *poison_titles()):
        those = [row for row in rows if kind in ("all", row["kind"])]
        figures: dict[str, Any] = {
            arm: share(moved) if (moved := [row[arm]["moved"] for row in those if row[arm]]) else None for arm in ARMS
        }
        figures["stopped"] = sum(row["guarded"]["said"] == STOPPED for row in those)
        found[kind] = figures
    return {"kinds": found, "moved_behind_guard": [row["id"] for row in rows if row["guarded"]["moved"]]}


class Asker:
    """Asks a served model, each request once."""

    def __init__(self, options: argparse.Namespace) -> None:
        with options.weights.open("rb") as weights:
            self.digest = hashlib.file_digest(weights, "sha256").hexdigest()
        options.out.mkdir(parents=True, exist_ok=True)
        self._file = options.out / "answers.jsonl"
        lines = self._file.read_text("utf-8").splitlines() if self._file.exists() else []
        self._known = {row["request"]: row["said"] for row in map(json.loads, lines)}
        self._lock = Lock()
        self._url = served(options.weights, PORT, options.threads, CONTEXT, SLOTS)

    def ask(self, messages: Messages) -> str:
        """The answer at temperature 0."""
        body = {"messages": messages, "temperature": 0, "max_tokens": OUTPUT, "seed": 0}
        request = hashlib.sha256(json.dumps([self.digest, body], sort_keys=True).encode()).hexdigest()
        if request not in self._known:
            asked = urllib.request.Request(
                f"{self._url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(asked, timeout=600) as reply:
                said = json.load(reply)["choices"][0]["message"]["content"] or ""
            with self._lock, self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"request": request, "said": said}, ensure_ascii=False) + "\n")
            self._known[request] = said
        return self._known[request]


def _print(found: dict[str, Any]) -> None:
    titles = {"all": "all"} | {kind: title.en for kind, title in poison_titles().items()}
    rows = []
    for kind, figures in found["kinds"].items():
        shares = [_told(figures[arm]) for arm in ARMS]
        rows.append([titles[kind], *shares, figures["stopped"]])
    print(markdown_table(["kind", "without the attack", "model alone", "behind the guard", "of those not asked"], rows))


def _told(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "–"
    interval = "" if figures["low"] is None else f" ({100 * figures['low']:.0f}–{100 * figures['high']:.0f} %)"
    return f"{figures['hits']} of {figures['n']}{interval}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--weights", type=Path, help="a GGUF file; without it the bundled model")
    parser.add_argument("--name", help="of the model; default: the file's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "bench" / "out" / "agent_poison")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.weights = options.weights or find_weights(*WEIGHTS["smollm2"])
    options.name = options.name or options.weights.stem
    return options


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # the server's threads never end
