"""How far a run is: read from its ledger, also while another process writes it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec

from medbench.engine.ledger import Ledger
from medbench.runs.config import read_pins
from medbench.runs.execute import LEDGER_FILE
from medbench.runs.judges import read_judges
from medbench.runs.plan import KIND
from medbench.store.files import is_held
from medbench.store.sqlite import is_made
from medbench.text import say


class RunStatus(msgspec.Struct, frozen=True):
    """What `medbench run --json` ends with and `medbench status --json` shows.

    Attributes:
        items: Items asked.
        rows: Calls planned: items in all their option orders and epochs.
        epochs: How often each item is asked.
        responses: Calls that have a response.
        scored: Responses with a score; None until the run is scored.
        awaiting_judge: Responses that await a judge; None until the run is scored.
        coverage: Share of planned calls whose outcome counts.
        score: Mean over the dimensions scored in this run, 0..100.
        wall_s: Seconds of the session that ended; None while it runs.
        requests: Leaf calls sent, retries included.
    """

    run_dir: str
    state: str
    reason: str
    model: str
    items: int
    rows: int
    responses: int
    requests: int
    by_status: dict[str, int]
    by_error: dict[str, int]
    input_tokens: int
    output_tokens: int
    epochs: int = 1
    scored: int | None = None
    awaiting_judge: int | None = None
    coverage: float | None = None
    score: float | None = None
    wall_s: float | None = None
    report: str | None = None


def is_under_way(run_dir: Path) -> bool:
    """Whether a session is at work, or was killed: the tables of the run lack what it got."""
    path = run_dir / LEDGER_FILE
    if not is_made(path):
        return True
    with closing(Ledger(path, read_only=True)) as ledger:
        state, _ = ledger.state()
    return state in ("planned", "running") or (state == "answered" and not (run_dir / "responses").exists())


def run_status(run_dir: Path) -> RunStatus:
    """Read the state of a run without disturbing it.

    Raises:
        InputError: The folder holds no run.
    """
    pins = read_pins(run_dir)
    ledger_path = run_dir / LEDGER_FILE
    if not is_made(ledger_path):
        asked = pins.model.spec, pins.n_items, pins.n_calls
        return RunStatus(str(run_dir), "planned", "", *asked, 0, 0, {}, {}, 0, 0, pins.selection.epochs)
    ledger = Ledger(ledger_path, read_only=True)
    try:
        state, reason = ledger.state()
        totals = ledger.totals(KIND)
    finally:
        ledger.close()
    if state == "running" and not is_held(run_dir):
        state, reason = "stopped", say("runs.process_gone")
        if read_judges(run_dir):
            reason = f"{reason} {say('runs.judges_again')}"
    elif state == "answered" and not is_held(run_dir):
        reason = say("runs.scoring_gone", path=run_dir)
    return RunStatus(
        run_dir=str(run_dir),
        state=state,
        reason=reason,
        model=pins.model.spec,
        items=pins.n_items,
        rows=pins.n_calls,
        responses=totals.responses,
        requests=totals.requests,
        by_status=totals.by_status,
        by_error=totals.by_error,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        epochs=pins.selection.epochs,
    )
