"""Judged items per second of a whole run, against a bare HTTP loop that makes the same two calls per item.

    python bench/judge_overhead.py --items 12000 --concurrency 256 --latency-ms 50 --pairs 3 --json bench/out/judge.json

Endpoint and client have a core each, as in bench/throughput.py, and both contenders ask the same endpoint process the
same prompts: a question, and the judge's prompt about its answer, which can't be sent before the answer is there.

- The floor is bench/peers/bare_loop.py: aiohttp posts ready bodies, two per item one after the other, and decodes the
  replies. It makes no prompt, reads no verdict and keeps nothing. Its rate is that of its loop alone, not of its start.
- MedBench is `medbench run --judge` as a whole process from start to exit: answers and judgements durable in the
  ledger, prompts with rubric and fences made, verdicts read and checked, scores and report written.

Both have as many calls in flight at most: the loop `--concurrency`, MedBench half of it for the model and half for the
judge. None can pass concurrency / (2 · latency), which is given as `latency_bound_items_per_s`. They alternate, and the
ratio is taken per pair.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _common import (
    BenchmarkError,
    Stage,
    in_pairs,
    markdown_table,
    medbench_command,
    pinned_endpoint,
    report,
    write_json,
)
from medbench.items.source import open_source
from medbench.models.model import Identity, Response
from medbench.runs.ask import prompt_of
from medbench.runs.config import Selection
from medbench.runs.plan import asked
from medbench.scoring.judging.calls import JudgePlanner
from medbench.scoring.judging.plan import JudgePins

CALLS = 2
ANSWER = "（合成回答，无临床意义）教学目标一：说出记录中读数的变化。提问：哪一次读数最高，说明什么？" * 4
VERDICT = json.dumps({"reason": "提问贴合教学目标，但缺少追问。", "overall": 7}, ensure_ascii=False)
ANSWERS = {"bench": ANSWER, "judge": VERDICT}
_FEW = 16


def main() -> None:
    options = _parse()
    scratch_folder = tempfile.TemporaryDirectory(prefix="medbench-judge-")
    with scratch_folder as scratch, pinned_endpoint(options.latency_ms, ANSWERS) as endpoint:
        result = report(
            "bench/judge_overhead.py",
            {"items": options.items, "concurrency": options.concurrency, "latency_ms": options.latency_ms},
            measure(Trial(Stage(Path(scratch), endpoint), options.items, options.concurrency), options.pairs),
        )
    if options.latency_ms:
        result["latency_bound_items_per_s"] = options.concurrency * 1000 / options.latency_ms / CALLS
    if options.json:
        write_json(options.json, result)
    print(table(result))


class Trial:
    """Runs one contender after the other on the same items."""

    def __init__(self, stage: Stage, items: int, concurrency: int) -> None:
        self.stage, self.items, self.concurrency = stage, items, concurrency
        self.judge = stage.scratch / "judge.toml"
        self.judge.write_text(
            f'model = "openai:judge"\nbase_url = "{stage.endpoint.url}"\nconcurrency = {concurrency // CALLS}\n'
        )
        write_items(self._path(items), items)
        write_items(self._path(_FEW), _FEW)
        self.bodies = stage.scratch / "bodies.jsonl"
        write_bodies(self.bodies, self._path(items))

    def bare(self) -> dict[str, Any]:
        """The floor."""
        return self.stage.bare_loop(self.bodies, self.concurrency, self.items, calls=CALLS)

    def medbench(self, items: int) -> dict[str, Any]:
        """`medbench run --judge` as a whole process."""
        out = self.stage.fresh("run")
        command = medbench_command(self._path(items), self.stage.endpoint.url, self.concurrency // CALLS, out)
        finished, numbers = self.stage.run("medbench", [*command, "--judge", str(self.judge)], items, calls=CALLS)
        done = json.loads(finished.output)
        if (done["scored"], done["score"]) != (items, 70.0):
            raise BenchmarkError(f"medbench scored {done['scored']} of {items} items at {done['score']}, not 70.")
        return numbers

    def _path(self, items: int) -> Path:
        return self.stage.scratch / f"items-{items}.jsonl"


def write_items(path: Path, count: int) -> None:
    """Write synthetic open questions with a reference answer; same count, same bytes."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            readings = "，".join(f"第{place}次读数为{(number * 37 + place * 11) % 250}" for place in range(1, 13))
            record = {
                "id": f"synthetic-{number:06d}",
                "dataset": "MedTeach",
                "question": f"（合成题，仅供测速，无临床意义）第{number}号记录：{readings}。请改编为教学案例。",
                "answer": "教学目标：描述读数变化；提问围绕最高与最低读数。",
                "language": "zh",
                "source": "synthetic: bench/judge_overhead.py",
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def write_bodies(path: Path, items: Path) -> None:
    """Write what MedBench will send, two lines per item: the question, and the judge's prompt about its answer."""
    planner = JudgePlanner(items, None)
    pins = JudgePins(Identity("openai:judge", "judge"))
    with path.open("w", encoding="utf-8") as file:
        for call in asked(open_source(items), Selection()):
            (judged,) = planner.calls([(call, Response("ok", ANSWER))], pins)
            for model, prompt in (("bench", prompt_of(call)), ("judge", judged.prompt().text)):
                body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
                line = json.dumps({**body, "temperature": 0, "max_tokens": 1024}, ensure_ascii=False)
                file.write(line + "\n")


def measure(trial: Trial, pairs: int) -> dict[str, Any]:
    """Floor and MedBench in alternating pairs; a run over a few items first fills the page cache."""
    start = trial.medbench(_FEW)["seconds"]
    return {"medbench_start_s": start, **in_pairs(pairs, trial.bare, lambda: trial.medbench(trial.items))}


def table(result: Mapping[str, Any]) -> str:
    """The result as a short Markdown table of medians."""
    rows = []
    for name, runs in (("bare aiohttp loop (loop only)", "bare_loop"), ("medbench run --judge", "medbench")):
        rate, cpu, memory = (
            statistics.median(run[key] for run in result[runs])
            for key in ("items_per_s", "cpu_ms_per_item", "peak_rss_mb")
        )
        rows.append([name, f"{rate:,.0f}", f"{cpu:.2f}", f"{memory:.0f}"])
    lines = [markdown_table(["", "judged items/s", "CPU ms/item", "peak RSS MB"], rows)]
    lines.append(f"\nMedBench to bare loop, median of pairs: {result['medbench_to_bare_median_ratio']:.3f}")
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--concurrency", type=int, default=256, help="calls in flight at most, of both calls together")
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--pairs", type=int, default=3, help="runs of bare loop and medbench, alternating")
    parser.add_argument("--json", type=Path, help="write the result here")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as error:
        sys.exit(str(error))
