"""Items per second of a whole evaluation, against a bare HTTP loop and against other evaluation tools.

    python bench/throughput.py --items 12000 --concurrency 256 --latency-ms 50 --pairs 3 --peers --json bench/out/t.json

All ask the same endpoint process (tests/support/endpoint.py), pinned to one core; each client is pinned to the other.

- The floor is bench/peers/bare_loop.py: aiohttp posts ready bodies, reads and decodes the answers, nothing else.
  Its rate is that of its loop alone, without its start.
- MedBench is `medbench run` as a whole process from start to exit: items read and checked, every call durable in the
  ledger, scores and report written. It alternates with the floor; the ratio is taken per pair.
- Tools are whole processes too, through their own command lines. `start` is the time of a run over 16 items.

No client can pass concurrency / latency, which is given as `latency_bound_items_per_s`.
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
    LETTERS,
    BenchmarkError,
    Stage,
    folder_bytes,
    in_pairs,
    markdown_table,
    medbench_command,
    pinned_endpoint,
    read_items,
    report,
    write_items,
    write_json,
)
from peers.tools import TOOLS, Job, Tool

_FEW = 16


def main() -> None:
    options = _parse()
    for name in options.peers:
        TOOLS[name].install()
    scratch_folder = tempfile.TemporaryDirectory(prefix="medbench-throughput-")
    with scratch_folder as scratch, pinned_endpoint(options.latency_ms) as endpoint:
        trial = Trial(Stage(Path(scratch), endpoint), options.items, options.concurrency)
        result = report(
            "bench/throughput.py",
            {"items": options.items, "concurrency": options.concurrency, "latency_ms": options.latency_ms},
            measure(trial, options.pairs, [TOOLS[name] for name in options.peers], with_medbench=options.medbench),
        )
    if options.latency_ms:
        result["latency_bound_items_per_s"] = options.concurrency * 1000 / options.latency_ms
    if options.json:
        write_json(options.json, result)
    print(table(result))


class Trial:
    """Runs one contender after the other on the same items.

    Args:
        stage: Where they run.
        items: Number of items.
        concurrency: Requests in flight at most.
    """

    def __init__(self, stage: Stage, items: int, concurrency: int) -> None:
        self.stage, self.concurrency = stage, concurrency
        self.counts = {"all": items, "few": _FEW}
        for size, count in self.counts.items():
            write_items(self._items(size), count)
            self._write_bodies(size)

    def bare(self) -> dict[str, Any]:
        """The floor."""
        return self.stage.bare_loop(self._bodies("all"), self.concurrency, self.counts["all"])

    def medbench(self, size: str = "all") -> dict[str, Any]:
        """`medbench run` as a whole process."""
        out = self.stage.fresh("run")
        command = medbench_command(self._items(size), self.stage.endpoint.url, self.concurrency, out)
        _, numbers = self.stage.run("medbench", command, self.counts[size])
        return {**numbers, "written_mb": folder_bytes(out) / 1e6}

    def tool(self, tool: Tool, size: str = "all") -> dict[str, Any]:
        """Another tool as a whole process."""
        folder = self.stage.fresh(tool.name)
        folder.mkdir()
        job = Job(self._items(size), self.stage.endpoint.url, self.concurrency, folder)
        _, numbers = self.stage.run(tool.name, tool.prepared(job), self.counts[size], environment=tool.environment(job))
        return {**numbers, "written_mb": folder_bytes(folder) / 1e6}

    def _items(self, size: str) -> Path:
        return self.stage.scratch / f"items-{size}.jsonl"

    def _bodies(self, size: str) -> Path:
        return self.stage.scratch / f"bodies-{size}.jsonl"

    def _write_bodies(self, size: str) -> None:
        with self._bodies(size).open("w", encoding="utf-8") as file:
            for item in read_items(self._items(size)):
                options = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, item["options"], strict=True))
                prompt = f"{item['question']}\n{options}\n只回答选项字母。"
                messages = [{"role": "user", "content": prompt}]
                body = {"model": "bench", "messages": messages, "temperature": 0, "max_tokens": 16}
                file.write(json.dumps(body, ensure_ascii=False) + "\n")


def measure(trial: Trial, pairs: int, tools: list[Tool], *, with_medbench: bool) -> dict[str, Any]:
    """All contenders: floor and MedBench in alternating pairs, then the tools, once each.

    Each whole process is run over a few items first: that fills the page cache and tells how long it takes to start.
    """
    numbers: dict[str, Any] = {}
    if with_medbench:
        numbers["medbench_start_s"] = trial.medbench("few")["seconds"]
        numbers |= in_pairs(pairs, trial.bare, trial.medbench)
        numbers["medbench_median_items_per_s"] = _median(numbers["medbench"])
    else:
        numbers["bare_loop"] = [trial.bare() for _ in range(pairs)]
    numbers["bare_loop_median_items_per_s"] = _median(numbers["bare_loop"])
    peers: dict[str, Any] = {}
    for tool in tools:
        start = trial.tool(tool, "few")["seconds"]
        peers[tool.name] = {"requirements": tool.requirements, "start_s": start, **trial.tool(tool)}
    if peers:
        numbers["peers"] = peers
    return numbers


def _median(runs: list[dict[str, Any]]) -> float:
    return statistics.median(run["items_per_s"] for run in runs)


def table(result: Mapping[str, Any]) -> str:
    """The result as a short Markdown table."""
    rows: list[list[object]] = []
    floor = result["bare_loop_median_items_per_s"]

    def add(name: str, start: float | str, run: Mapping[str, Any], rate: float) -> None:
        share = f"{rate / floor:.2f}"
        cost = [f"{run['cpu_ms_per_item']:.2f}", f"{run['peak_rss_mb']:.0f}"]
        rows.append([name, f"{rate:,.0f}", share, *cost, start if isinstance(start, str) else f"{start:.1f}"])

    add("bare aiohttp loop (loop only)", "–", result["bare_loop"][0], floor)
    if "medbench" in result:
        ours = result["medbench"][0]
        add("medbench run", result["medbench_start_s"], ours, result["medbench_median_items_per_s"])
    for run in result.get("peers", {}).values():
        add(run["requirements"][0], run["start_s"], run, run["items_per_s"])
    header = ["", "items/s", "of the floor", "CPU ms/item", "peak RSS MB", "start s"]
    lines = [markdown_table(header, rows)]
    if "medbench_to_bare_median_ratio" in result:
        lines.append(f"\nMedBench to bare loop, median of pairs: {result['medbench_to_bare_median_ratio']:.3f}")
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--pairs", type=int, default=3, help="runs of bare loop and medbench, alternating")
    parser.add_argument("--peers", nargs="*", choices=sorted(TOOLS), default=None, help="other tools; no name: all")
    parser.add_argument("--no-medbench", dest="medbench", action="store_false", help="measure the others alone")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    options.peers = list(TOOLS) if options.peers == [] else options.peers or []
    return options


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as error:
        sys.exit(str(error))
