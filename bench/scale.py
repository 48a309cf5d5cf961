"""Wall time and memory of `medbench run` as the number of items grows: memory is to stay the same.

    python bench/scale.py --items 7000 70000 700000 --json bench/out/scale.json

The endpoint answers at once (latency 0) on one core, `medbench run` has the other. Memory is the sum of the resident
sizes of the whole process tree, sampled ten times a second, and the largest single process as the kernel counted it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from _common import (
    BenchmarkError,
    folder_bytes,
    markdown_table,
    medbench_command,
    pinned_endpoint,
    report,
    require_all_asked,
    run_pinned,
    write_items,
    write_json,
)

_EVERY_S = 0.1


class TreeMemory:
    """Samples the summed resident size of a process and its descendants while the block runs.

    Attributes:
        peak_mb: Largest sum seen, in 10^6 bytes; pages that processes share count once for each.
        processes: Most processes seen at once.
    """

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self.processes = 0

    def watch(self, pid: int) -> TreeMemory:
        """Choose the process."""
        self._process = psutil.Process(pid)
        return self

    def __enter__(self) -> TreeMemory:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(_EVERY_S):
            try:
                tree = [self._process, *self._process.children(recursive=True)]
                size = sum(process.memory_info().rss for process in tree)
            except psutil.NoSuchProcess:
                continue  # one of them ended between two looks
            self.peak_mb = max(self.peak_mb, size / 1e6)
            self.processes = max(self.processes, len(tree))


def measure(count: int, concurrency: int, scratch: Path) -> dict[str, Any]:
    """One run over `count` items."""
    items, out, folder = scratch / "items.jsonl", scratch / "run", scratch / "process"
    folder.mkdir()
    write_items(items, count)
    print(f"medbench: {count} items", file=sys.stderr)
    memory = TreeMemory()
    with pinned_endpoint(latency_ms=0) as endpoint:
        command = medbench_command(items, endpoint.url, concurrency, out)
        finished = run_pinned(command, folder=folder, watch=memory.watch)
        asked = require_all_asked("medbench", count, endpoint)
    return {
        "items": count,
        "seconds": finished.seconds,
        "items_per_s": count / finished.seconds,
        "cpu_ms_per_item": finished.cpu_seconds / count * 1000,
        "peak_rss_of_tree_mb": memory.peak_mb,
        "peak_rss_of_largest_process_mb": finished.peak_rss_mb,
        "processes": memory.processes,
        "items_file_mb": items.stat().st_size / 1e6,
        "run_folder_mb": folder_bytes(out) / 1e6,
        **asked,
    }


def table(result: Mapping[str, Any]) -> str:
    """The result as a Markdown table."""
    header = ["items", "wall s", "items/s", "CPU ms/item", "peak RSS MB (tree)", "largest process MB", "run folder MB"]
    rows = [
        [
            f"{run['items']:,}",
            f"{run['seconds']:.1f}",
            f"{run['items_per_s']:,.0f}",
            f"{run['cpu_ms_per_item']:.2f}",
            f"{run['peak_rss_of_tree_mb']:.0f}",
            f"{run['peak_rss_of_largest_process_mb']:.0f}",
            f"{run['run_folder_mb']:.1f}",
        ]
        for run in result["runs"]
    ]
    return markdown_table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, nargs="+", default=[7_000, 70_000, 700_000])
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--json", type=Path, help="write the result here, after each run")
    options = parser.parse_args()
    runs: list[dict[str, Any]] = []
    result: dict[str, Any] = {}
    for count in options.items:
        with tempfile.TemporaryDirectory(prefix="medbench-scale-") as scratch:
            runs.append(measure(count, options.concurrency, Path(scratch)))
        result = report("bench/scale.py", {"concurrency": options.concurrency, "latency_ms": 0}, {"runs": runs})
        if options.json:
            write_json(options.json, result)
    print(table(result))


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as error:
        sys.exit(str(error))
