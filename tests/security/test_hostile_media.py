"""Pictures and documents made to do harm: each ends as a reason, and the process that met it goes on or is replaced."""

from __future__ import annotations

import asyncio
import io
import os
import random
import struct
import subprocess
import sys
import zlib

import numpy as np
import psutil
import pytest
from PIL import Image

from medbench.items.media import FolderMedia
from medbench.models.images import Fault, ImageLimits, MediaMissing
from medbench.models.preparation import MediaPreparer
from support.media import chunk, deflated_dicom_bomb, dicom, encoded, flat_png, noise, pdf

JPEG = encoded(noise(200, 200), "JPEG")
PROGRESSIVE = encoded(noise(200, 200), "JPEG", progressive=True)
PNG = encoded(noise(60, 60), "PNG")
WEBP = encoded(noise(60, 60), "WEBP")


def lying_png(width: int, height: int) -> bytes:
    """Says it is large, and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def text_bomb_png() -> bytes:
    """A small picture with a compressed text of a gigabyte."""
    packed = zlib.compressobj(9)
    bomb = b"".join(packed.compress(bytes(10**6)) for _ in range(1000)) + packed.flush()
    text = chunk(b"zTXt", b"Comment\0\0" + bomb)
    return PNG[:33] + text + PNG[33:]


def tiff_bomb() -> bytes:
    """Fifty thousand by fifty thousand black pixels, deflated."""
    stream = io.BytesIO()
    Image.new("1", (8, 8)).save(stream, "TIFF", compression="tiff_adobe_deflate")
    content = bytearray(stream.getvalue())
    for tag in (256, 257):
        at = content.index(struct.pack("<HHI", tag, 3, 1))
        content[at + 8 : at + 12] = struct.pack("<I", 50_000)
    return bytes(content)


def endless_gif() -> bytes:
    """Sixty thousand frames of one pixel."""
    first = io.BytesIO()
    Image.new("P", (1, 1)).save(first, "GIF")
    frame = first.getvalue()[:-1]
    image = frame[frame.rindex(b"\x2c") :]
    return frame + image * 60_000 + b";"


HOSTILE: dict[str, tuple[bytes, str]] = {
    "hundred megapixels": (flat_png(10_000, 10_000), "too_many_pixels"),
    "says it is large": (lying_png(60_000, 60_000), "too_many_pixels"),
    "largest sides": (lying_png(2**31 - 1, 2**31 - 1), "too_many_pixels"),
    "deflated tiff": (tiff_bomb(), "too_many_pixels"),
    "a text of a gigabyte": (text_bomb_png(), "corrupt"),
    "deflated dicom": (deflated_dicom_bomb(1_200), "too_much_memory"),
    "no gif ends": (endless_gif(), "too_many_images"),
    "jpeg cut short": (JPEG[: len(JPEG) // 2], "corrupt"),
    "progressive jpeg cut short": (PROGRESSIVE[: len(PROGRESSIVE) * 9 // 10], "corrupt"),
    "jpeg that ends in zeros": (JPEG[:-200] + bytes(200), "corrupt"),
    "head of a jpeg": (JPEG[:20], "corrupt"),
    "png cut short": (PNG[:-50], "corrupt"),
    "png with a wrong bit": (PNG[:200] + bytes([PNG[200] ^ 1]) + PNG[201:], "corrupt"),
    "webp cut short": (WEBP[:-50], "corrupt"),
    "gif of nothing": (b"GIF89a", "corrupt"),
    "thousand pages": (pdf(1_000), "too_many_images"),
    "no pages": (pdf(0), "corrupt"),
    "pdf cut short": (b"%PDF-1.7\nnothing follows", "corrupt"),
    "text in a font that is not there": (pdf(text="左肺", font="SimSun"), "fonts_missing"),
    "dicom without pixels": (dicom(None), "no_pixels"),
    "dicom with too few pixels": (dicom(np.zeros((4, 4)), Rows=4_000, Columns=4_000), "corrupt"),
    "dicom that says it is large": (dicom(np.zeros((4, 4)), Rows=60_000, Columns=60_000), "too_many_pixels"),
    "dicom of many slices": (dicom(np.zeros((4, 4)), NumberOfFrames=100_000), "too_many_images"),
    "dicom of no size": (dicom(np.zeros((4, 4)), Rows=0), "no_pixels"),
    "dicom cut short": (dicom(np.zeros((40, 40)))[:-500], "corrupt"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "unsupported"),
    "html": (b"<html><img src='file:///etc/passwd'></html>", "unsupported"),
    "noise": (random.Random(1).randbytes(5_000), "unsupported"),
}


def outcomes(folder, *names: str, time_limit_s: float = 60.0) -> list[str]:
    """The reason for each medium; `ok` where there are images. One process does them all."""
    files = FolderMedia(folder)

    async def go() -> list[str]:
        preparer = MediaPreparer(folder / "kept", files.path, ImageLimits(), time_limit_s=time_limit_s)
        found = []
        try:
            for name in names:
                try:
                    await preparer.images([files.find(name)])
                except MediaMissing as error:
                    found.append(error.code.removeprefix("media_"))
                else:
                    found.append("ok")
        finally:
            await preparer.close()
        return found

    return asyncio.run(go())


@pytest.fixture(scope="module")
def met(tmp_path_factory) -> dict[str, str]:
    """Every hostile medium, a sound one behind each, by a name that says nothing."""
    folder = tmp_path_factory.mktemp("hostile")
    names = []
    for number, (content, _) in enumerate(HOSTILE.values()):
        (folder / f"{number}").write_bytes(content)
        (folder / f"sound{number}").write_bytes(encoded(noise(20, 20, seed=number), "PNG"))
        names += [f"{number}", f"sound{number}"]
    found = outcomes(folder, *names)
    assert set(found[1::2]) == {"ok"}, "what comes after a hostile medium is made ready all the same"
    return dict(zip(HOSTILE, found[::2], strict=True))


@pytest.mark.parametrize("name", HOSTILE)
def test_each_ends_as_its_reason(met, name):
    assert met[name] == HOSTILE[name][1]


def test_every_fault_that_can_be_met_by_a_file_is_met():
    met = {reason for _, reason in HOSTILE.values()}
    assert set(Fault.__args__) - met == {"locked", "too_many_bytes"}


def test_a_document_with_scripts_is_shown_and_nothing_in_it_runs(tmp_path):
    script = "app.alert\\(1\\); this.getURL\\('http://127.0.0.1:9/'\\); while \\(true\\) {}"
    (tmp_path / "a").write_bytes(pdf(1, script=script))
    (tmp_path / "b").write_bytes(pdf(1))
    assert outcomes(tmp_path, "a", "b") == ["ok", "ok"]
    assert len(list((tmp_path / "kept").glob("??/*"))) == 1, "both pages look the same"


def test_what_takes_too_long_is_ended_and_the_next_one_is_done(tmp_path):
    (tmp_path / "slow").write_bytes(encoded(noise(6_000, 6_000, mode="L"), "TIFF", compression="tiff_lzw"))
    (tmp_path / "fast").write_bytes(PNG)
    assert outcomes(tmp_path, "slow", "fast", time_limit_s=0.3) == ["too_slow", "ok"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../secret.png", "outside"),
        ("/etc/passwd", "outside"),
        ("a\\..\\b.png", "outside"),
        ("a\nb.png", "bad_name"),
        ("link.png", "outside"),
        ("absent.png", "absent"),
        ("empty.png", "empty"),
        ("text.png", "other_kind"),
        ("folder", "absent"),
    ],
)
def test_names_that_lead_elsewhere_or_to_nothing(tmp_path, name, reason):
    (tmp_path / "secret.png").write_bytes(PNG)
    folder = tmp_path / "items"
    (folder / "folder").mkdir(parents=True)
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    assert outcomes(folder, name) == [reason]


PROBE = """
import socket, sys
from medbench.models import locked_process, media_worker as worker
locked_process.lock(worker.MEMORY)
for attempt in (lambda: open("/etc/passwd"), socket.socket, lambda: bytearray(2 * worker.MEMORY)):
    try:
        attempt()
    except (OSError, MemoryError) as error:
        sys.stdout.write(type(error).__name__ + " ")
    else:
        sys.stdout.write("allowed ")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no limit of the address space")
def test_the_process_that_decodes_can_open_neither_files_nor_sockets():
    probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert probe.stdout.split() == ["OSError", "OSError", "MemoryError"]


def test_it_has_no_secrets_and_ends_with_a_parent_that_was_killed(tmp_path):
    (tmp_path / "a.tif").write_bytes(encoded(noise(9, 9), "TIFF"))
    script = f"""
import asyncio, os
from pathlib import Path
from medbench.items.media import FolderMedia
from medbench.models.images import ImageLimits
from medbench.models.preparation import MediaPreparer
async def go():
    files = FolderMedia(Path({str(tmp_path)!r}))
    preparer = MediaPreparer(Path({str(tmp_path / "kept")!r}), files.path, ImageLimits())
    await preparer.images([files.find("a.tif")])
    print(next(worker._process.pid for worker in preparer._workers if worker._process), flush=True)
    await asyncio.sleep(60)
asyncio.run(go())
"""
    environment = {**os.environ, "MODEL_KEY": "sk-secret"}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        assert "medbench.models.media_worker" in child.cmdline()
        assert "MODEL_KEY" not in child.environ()
        parent.kill()
    child.wait(10)
    assert not child.is_running()
