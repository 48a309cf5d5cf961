"""The traces of a run as one HTML page in two languages: plan, evidence, tools, critique, guard, cost and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from medbench.agents.orchestration.events import TRACE_SUFFIX, AnyEvent, Called, Trace, decode_trace
from medbench.board.report.render import NAMES, TAGS, environment
from medbench.errors import InputError, Problem
from medbench.runs.config import read_pins
from medbench.runs.status import is_under_way
from medbench.stats import half_up
from medbench.store.artifacts import ARTIFACTS_FOLDER, Artifacts
from medbench.store.files import write_atomically
from medbench.store.parquet import read_batches
from medbench.text import LANGUAGES, Language, named, say

TRACES_FILE = "traces.html"


class TracePage(msgspec.Struct, frozen=True):
    """What was written.

    Attributes:
        path: The page.
        shown: Answers on it.
        traces: Answers of the run whose trace can be read.
        damaged: Answers whose trace is gone, or not what the agent wrote.
    """

    path: str
    shown: int
    traces: int
    damaged: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Leaf calls of one step."""

    step: str
    calls: int
    input_tokens: int
    output_tokens: int
    seconds: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer on the page."""

    trace: Trace
    status: str
    error: str
    events: tuple[AnyEvent, ...]
    costs: tuple[Cost, ...]
    seconds: str

    @property
    def calls(self) -> int:
        """Leaf calls."""
        return sum(cost.calls for cost in self.costs)

    @property
    def tokens(self) -> int:
        """Given and written."""
        return sum(cost.input_tokens + cost.output_tokens for cost in self.costs)


def write_traces(run_dir: Path, language: Language, *, limit: int, out: Path | None = None) -> TracePage:
    """Write the page; the same run gives the same bytes.

    Args:
        run_dir: Folder of a run of the agent.
        language: Shown first; the reader can switch to the other.
        limit: Most answers shown, in the order of the run.
        out: The page; by default `traces.html` in the run's folder.

    Raises:
        InputError: The folder holds no run, or none with traces.
        WorkError: The page can't be written.
    """
    pins = read_pins(run_dir)
    answers = list(_answers(run_dir))
    found = [(path, status, error, seconds) for path, status, error, seconds in answers if path is not None]
    damaged = len(answers) - len(found)
    if not answers and is_under_way(run_dir):
        raise InputError(Problem(message=say("agent.under_way"), file=str(run_dir)))
    if damaged and not found:
        raise InputError(
            Problem(message=say("traces.all_damaged", damaged=damaged), file=str(run_dir / ARTIFACTS_FOLDER))
        )
    if not found:
        raise InputError(Problem(message=say("traces.no_traces"), file=str(run_dir)))
    shown = [_shown(*answer) for answer in islice(found, limit)]
    ordered = [language, *(other for other in LANGUAGES if other != language)]
    page = environment().get_template("traces.html.jinja")
    text = page.render(
        pins=pins,
        answers=shown,
        left=len(found) - len(shown),
        damaged=damaged,
        languages=ordered,
        tags=TAGS,
        names=NAMES,
        word=_word,
        named=named,
    )
    path = out or run_dir / TRACES_FILE
    write_atomically(path, text.encode())
    return TracePage(str(path), len(shown), len(found), damaged)


def _answers(run_dir: Path) -> Iterator[tuple[Path | None, str, str, float]]:
    """File of the agent's trace, status, error and seconds of each answer that has one; other models keep others.

    The file is None where it is gone or has another content.
    """
    artifacts = Artifacts(run_dir / ARTIFACTS_FOLDER)
    columns = ["seq", "trace", "status", "error_code", "latency_s"]
    for batch in read_batches(run_dir / "responses", columns):
        for row in batch.to_pylist():
            if row["trace"].endswith(TRACE_SUFFIX):
                yield artifacts.path(row["trace"]), row["status"], row["error_code"] or "", row["latency_s"]


def _shown(path: Path, status: str, error: str, seconds: float) -> Shown:
    trace = decode_trace(path.read_bytes())
    calls = [event for event in trace.events if isinstance(event, Called)]
    costs = []
    for step in dict.fromkeys(call.step for call in calls):
        mine = [call for call in calls if call.step == step]
        costs.append(
            Cost(
                step,
                len(mine),
                sum(call.input_tokens for call in mine),
                sum(call.output_tokens for call in mine),
                str(half_up(sum(call.seconds for call in mine), 1)),
            )
        )
    events = tuple(event for event in trace.events if not isinstance(event, Called))
    return Shown(trace, status, error, events, tuple(costs), str(half_up(seconds, 1)))


def _word(language: Language, key: str, /, **values: object) -> str:
    return say(f"traces.{key}", language=language, **values)
