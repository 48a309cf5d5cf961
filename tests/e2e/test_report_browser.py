"""The report in a real browser, cut off from every network: it shows, and runs nothing."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from support.browser import FLAGS, find_chromium
from support.command import medbench_json
from support.endpoint import running_endpoint

pytestmark = pytest.mark.browser

PAYLOAD = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def chromium() -> str:
    return find_chromium()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A report over items and a model whose every free text carries a script."""
    folder = tmp_path_factory.mktemp("browser")
    items = folder / "items.jsonl"
    rows = (
        {"id": f"{PAYLOAD}{number}", "dataset": "MedExam", "question": f"{PAYLOAD} {number}?", "answer": "A",
         "options": [f"{PAYLOAD}{letter}" for letter in "abc"], "specialty": "", "source": PAYLOAD}
        for number in range(8)
    )  # fmt: skip
    items.write_text("".join(json.dumps(row) + "\n" for row in rows))
    failing = {"fault": "http", "status": 400, "code": PAYLOAD, "contains": " 3?"}
    with running_endpoint(text=PAYLOAD, reasoning=PAYLOAD, faults=(failing,)) as endpoint:
        medbench_json(
            *("run", "--items", items, "--model", f"openai:{PAYLOAD}", "--base-url", endpoint.url),
            *("--out", folder / "run", "--parameter", f"user={json.dumps(PAYLOAD)}"),
        )
    return folder / "run" / "report.html"


def browse(chromium: str, profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [chromium, *FLAGS, f"--user-data-dir={profile}", "--virtual-time-budget=2000", *arguments],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


def test_nothing_runs_and_nothing_is_loaded(chromium, report, tmp_path):
    netlog = tmp_path / "net.json"
    shown = browse(chromium, tmp_path / "profile", f"--log-net-log={netlog}", "--dump-dom", report.as_uri())
    assert shown.returncode == 0, shown.stderr
    assert "</main>" in shown.stdout
    title = shown.stdout.split("<title>")[1].split("</title>")[0]
    assert title != "owned"
    assert "&lt;script&gt;" in title
    assert "<script" not in shown.stdout
    assert "onerror=&quot;" in shown.stdout or 'onerror="document' in shown.stdout
    assert "CONSOLE" not in shown.stderr
    assert requests_of_pages(netlog) == []


def requests_of_pages(netlog: Path) -> list[str]:
    """Addresses that a page asked for; what the browser asks for itself comes from no origin."""
    parameters = [event.get("params", {}) for event in json.loads(netlog.read_text())["events"]]
    return [each["url"] for each in parameters if each.get("initiator", "not an origin") != "not an origin"]


def test_the_browser_would_have_told(chromium, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<title>x</title><img src='http://canary.invalid/x'><script>console.log('told')</script>")
    netlog = tmp_path / "net.json"
    shown = browse(chromium, tmp_path / "profile", f"--log-net-log={netlog}", "--dump-dom", page.as_uri())
    assert "CONSOLE" in shown.stderr
    assert requests_of_pages(netlog) == ["http://canary.invalid/x"]


def pixels(png: bytes) -> set[bytes]:
    """Colours of an 8-bit PNG's unfiltered first bytes: enough to tell a page from a blank one."""
    data = b""
    place = 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += 12 + length
    raw = zlib.decompress(data)
    return {raw[start : start + 3] for start in range(0, len(raw) - 3, 997)}


@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_not_blank(chromium, report, tmp_path, width):
    picture = tmp_path / "page.png"
    shown = browse(
        chromium, tmp_path / "profile", f"--screenshot={picture}", f"--window-size={width},1600", report.as_uri()
    )
    assert picture.is_file(), shown.stderr
    assert len(pixels(picture.read_bytes())) > 40
