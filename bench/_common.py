"""What the benchmarks share: synthetic items, pinned and measured processes, the machine, a table."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
ENVIRONMENTS = REPOSITORY / "bench" / ".envs"
sys.path.insert(0, str(REPOSITORY / "tests"))

from medbench.stats import clustered_mean  # noqa: E402
from support.endpoint import Endpoint, running_endpoint  # noqa: E402 - the path above makes it importable

ENDPOINT_CORE, CLIENT_CORE = 0, 1
LETTERS = "ABCDE"


class BenchmarkError(Exception):
    """A contender did not do what it was measured for."""


def write_items(path: Path, count: int) -> None:
    """Write synthetic multiple-choice items as MedBench item JSONL: five options each, about 700 bytes a line.

    Same count, same bytes. They ask nothing clinical; each says that it is synthetic.
    """
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            seed = hashlib.sha256(b"item %d" % number).digest()
            readings = "，".join(f"第{place}次读数为{byte}" for place, byte in enumerate(seed[:12], start=1))
            sums = zip(LETTERS, seed[12:17], strict=True)
            record = {
                "id": f"synthetic-{number:06d}",
                "dataset": "MedExam",
                "question": f"（合成题，仅供测速，无临床意义）第{number}号记录：{readings}。下列哪一项与上述记录一致？",
                "options": [f"记录{number}的{letter}类读数之和为{byte * 7}" for letter, byte in sums],
                "answer": LETTERS[seed[31] % len(LETTERS)],
                "language": "zh",
                "source": "synthetic: bench/_common.py",
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def read_items(path: Path) -> Iterator[dict[str, object]]:
    """The items of `write_items`, one after the other."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


@dataclass(frozen=True)
class Finished:
    """A process that has ended.

    Attributes:
        seconds: From its start to its end.
        cpu_seconds: User and system time of it and of the children it waited for.
        peak_rss_mb: Largest resident size (10^6 bytes) that one of these processes had.
        output: What it wrote to stdout.
    """

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    output: str


def run_pinned(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    watch: Callable[[int], contextlib.AbstractContextManager[object]] | None = None,
) -> Finished:
    """Run a process on the client's core and measure it.

    Args:
        command: The program and its arguments.
        folder: Its working directory; `stdout.txt` and `stderr.txt` are written there.
        environment: Added to this process's environment.
        watch: Called with the process id; entered while it runs.

    Raises:
        BenchmarkError: It exits with another status than 0.
    """
    with (folder / "stdout.txt").open("wb") as out, (folder / "stderr.txt").open("wb") as error:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=error,
            preexec_fn=lambda: os.sched_setaffinity(0, {CLIENT_CORE}),
        )
        with watch(process.pid) if watch else contextlib.nullcontext():
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    output = (folder / "stdout.txt").read_text(encoding="utf-8", errors="replace")
    if process.returncode != 0:
        tail = (folder / "stderr.txt").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise BenchmarkError(f"{' '.join(command)} exited with {process.returncode}:\n{output[-2000:]}\n{tail}")
    return Finished(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, output)


@contextlib.contextmanager
def pinned_endpoint(latency_ms: float, by_model: dict[str, str] | None = None) -> Iterator[Endpoint]:
    """An endpoint on its own core; this process moves there too, so that it leaves the client's core alone.

    Args:
        latency_ms: Of each answer.
        by_model: Model -> what it answers; other models answer a letter.

    Raises:
        BenchmarkError: The machine has one core only.
    """
    if not {ENDPOINT_CORE, CLIENT_CORE} <= os.sched_getaffinity(0):
        raise BenchmarkError("Client and endpoint need a core each; this machine grants one only.")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {ENDPOINT_CORE})
        with running_endpoint(latency_ms=latency_ms, by_model=by_model) as endpoint:
            yield endpoint
    finally:
        os.sched_setaffinity(0, before)


def require_all_asked(name: str, prompts: int, endpoint: Endpoint) -> dict[str, object]:
    """Counts of the endpoint after a contender's run.

    Raises:
        BenchmarkError: It did not ask each prompt exactly once.
    """
    totals = endpoint.totals()
    if (totals["requests"], totals["distinct_prompts"]) != (prompts, prompts):
        raise BenchmarkError(
            f"{name} was to ask {prompts} prompts once each, but sent {totals['requests']} requests "
            f"with {totals['distinct_prompts']} distinct prompts."
        )
    request = json.dumps(totals["last_request"], ensure_ascii=False).encode()
    return {"max_in_flight": totals["max_in_flight"], "request_bytes_about": len(request)}


@cache
def medbench_program() -> Path:
    """Install this checkout into an environment of its own, as a user and as every peer has it; return its command.

    The development environment holds more (pandas among it, which pyarrow imports where it finds it).
    """
    home = ENVIRONMENTS / "medbench"
    if not home.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    pip = [str(home / "bin" / "pip"), "install", "--quiet", "--constraint", str(REPOSITORY / "constraints.txt")]
    subprocess.run([*pip, f"{REPOSITORY}[media,report]"], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(REPOSITORY)], check=True)
    return home / "bin" / "medbench"


def medbench_command(items: Path, url: str, concurrency: int, out: Path) -> list[str]:
    """`medbench run` over all items, each asked once."""
    return [
        str(medbench_program()),
        *("run", "--items", str(items), "--orders", "first"),
        *("--model", "openai:bench", "--base-url", url),
        *("--concurrency", str(concurrency), "--out", str(out), "--json"),
    ]


@dataclass(frozen=True)
class Stage:
    """Where contenders run one after the other.

    Attributes:
        scratch: Folder for everything written.
        endpoint: It counts what is asked.
    """

    scratch: Path
    endpoint: Endpoint

    def fresh(self, name: str) -> Path:
        """A path in the scratch folder where nothing is any more."""
        shutil.rmtree(self.scratch / name, ignore_errors=True)
        return self.scratch / name

    def run(
        self,
        name: str,
        command: list[str],
        items: int,
        *,
        calls: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[Finished, dict[str, Any]]:
        """Run a contender as a whole process, which has to ask `calls` prompts per item; its output and its numbers."""
        print(f"{name}: {items} items", file=sys.stderr)
        folder = self.fresh("process")
        folder.mkdir()
        self.endpoint.reset()
        finished = run_pinned(command, folder=folder, environment=environment)
        return finished, {
            "items_per_s": items / finished.seconds,
            "seconds": finished.seconds,
            "cpu_ms_per_item": finished.cpu_seconds / items * 1000,
            "peak_rss_mb": finished.peak_rss_mb,
            **require_all_asked(name, calls * items, self.endpoint),
        }

    def bare_loop(self, bodies: Path, concurrency: int, items: int, *, calls: int = 1) -> dict[str, Any]:
        """The floor: its rate is that of its loop alone."""
        script = Path(__file__).resolve().parent / "peers" / "bare_loop.py"
        command = [sys.executable, str(script), "--bodies", str(bodies), "--chain", str(calls)]
        command += ["--url", self.endpoint.url, "--concurrency", str(concurrency)]
        finished, numbers = self.run("bare loop", command, items, calls=calls)
        whole = numbers["items_per_s"]
        return {
            **numbers,
            "items_per_s": items / json.loads(finished.output)["seconds"],
            "items_per_s_whole_process": whole,
        }


def in_pairs(pairs: int, bare: Callable[[], dict[str, Any]], medbench: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Floor and MedBench in alternating pairs; the ratio is taken per pair."""
    floors: list[dict[str, Any]] = []
    ours: list[dict[str, Any]] = []
    for number in range(pairs):
        steps = [lambda: floors.append(bare()), lambda: ours.append(medbench())]
        # Every other pair the other way round, so that a drift of the machine favours neither.
        for step in reversed(steps) if number % 2 else steps:
            step()
    ratios = [mine["items_per_s"] / floor["items_per_s"] for mine, floor in zip(ours, floors, strict=True)]
    return {
        "bare_loop": floors,
        "medbench": ours,
        "medbench_to_bare_ratios": ratios,
        "medbench_to_bare_median_ratio": statistics.median(ratios),
    }


def own_dataset(name: str, source: str, metric: str, answer: str) -> str:
    """The definition of a dataset that only a benchmark has, as TOML.

    Args:
        name: Its name and title.
        source: Where its items come from.
        metric: Of its one part.
        answer: Form of the answers, an inline table.
    """
    return f"""
name = "{name}"
track = "llm"
dimension = "knowledge_qa"
title = {{ zh = "{name}", en = "{name}" }}
description = {{ zh = "{name}", en = "{name}" }}
source = "{source}"

[[parts]]
metrics = ["{metric}"]
answer = {answer}
"""


def served(weights: Path, port: int, threads: int, context: int, slots: int = 1) -> str:
    """Serve a GGUF file on loopback until the process ends; the base URL.

    Args:
        weights: The file.
        port: A fixed one: a model at another address is another model, whose work is not gone on with.
        threads: Of the server.
        context: Tokens of a conversation.
        slots: Conversations at a time: reading the weights once for several is most of what can be saved on a core.
    """
    # Threads that wait for one another spin by default: beside any other work that is twenty times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.cache_ram_mib = 0
    parameters.n_parallel = slots
    parameters.n_ctx = context * slots
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.verbosity = 0
    _SERVERS.append(xllamacpp.Server(parameters))
    return f"{_SERVERS[-1].listening_address}/v1"


_SERVERS: list[Any] = []
"""A server ends with its object."""


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in processor if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load_average_at_the_end": os.getloadavg()[0],
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * resource.getpagesize() / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("medbench", "aiohttp", "msgspec", "pyarrow")},
        "client_core": CLIENT_CORE,
        "endpoint_core": ENDPOINT_CORE,
    }


def report(script: str, settings: Mapping[str, object], numbers: Mapping[str, object]) -> dict[str, object]:
    """A result to be written: what was run, on what, and what came out."""
    return {
        "script": script,
        "command": " ".join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "settings": dict(settings),
        **numbers,
    }


def write_json(path: Path, result: Mapping[str, object]) -> None:
    """Write a result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def share(hits: Sequence[bool]) -> dict[str, object]:
    """A share with its interval and n."""
    found = clustered_mean([float(hit) for hit in hits], range(len(hits)))
    low, high = found.low, found.high
    return {
        "share": round(found.value, 4),
        "low": None if low is None else round(low, 4),
        "high": None if high is None else round(high, 4),
        "hits": sum(hits),
        "n": len(hits),
    }


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table: first column to the left, the others to the right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
