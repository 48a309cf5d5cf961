from __future__ import annotations

from medbench.cli.output import progress_line
from medbench.engine.budget import Price
from medbench.engine.ledger import Result
from medbench.engine.progress import Progress


def test_the_progress_line_tells_what_was_done_and_what_went_wrong():
    progress = Progress(10, price=Price(input=1_000_000.0, output=0.0))
    progress.completed(Result(seq=0, key=b"0", status="ok", body=b"{}", input_tokens=3, output_tokens=4, requests=1))
    failed = {"error_class": "submitter", "error_code": "http_400"}
    progress.completed(Result(seq=1, key=b"1", status="failed", body=b"{}", requests=1, **failed))
    progress.retries["http_429"] += 2
    line = progress_line(progress)
    assert "2/10" in line
    assert "7 tokens" in line
    assert "cost 3.00" in line
    assert "http_400×1" in line
    assert "http_429↻×2" in line


def test_without_a_price_no_cost_is_shown():
    assert "cost" not in progress_line(Progress(10))
