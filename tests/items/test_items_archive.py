"""Hostile archives are refused before they cost memory or write anywhere (specs/platform.md, section 6)."""

from __future__ import annotations

import io
import json
import stat
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.errors import InputError
from medbench.items import tree
from medbench.items.media import bad_name
from medbench.items.source import open_source
from medbench.items.tree import FolderTree, ZipTree

ROW = json.dumps({"question": "问", "answer": "", "other": {"id": 1, "source": "S"}}).encode() + b"\n"
MEMORY_CAP = 96 * 1024 * 1024


def packed(path: Path, members: dict[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def refused(path: Path) -> str:
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as error:
            open_source(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_CAP
    finally:
        tracemalloc.stop()
    assert all(problem.advice and problem.file for problem in error.value.problems)
    return str(error.value)


def member(name: str, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    "name",
    ["../MedHC.jsonl", "a/../../b", "/etc/passwd", "C:/x", "..\\x", "a\\..\\b", "a\x1b[31m", "x" * 1001, "..", "a/.."],
)
def test_names_that_lead_out(tmp_path, name):
    path = packed(tmp_path / "r.zip", {"MedHC.jsonl": ROW, member(name): b"x"})
    assert "leads out of the archive" in refused(path)
    assert not list(tmp_path.glob("**/passwd"))
    assert bad_name(name)


def test_a_name_with_nul_has_two_readings(tmp_path):
    path = packed(tmp_path / "r.zip", {"MedHC.jsonl": ROW, "harmlessX.sh": b"x"})
    path.write_bytes(path.read_bytes().replace(b"harmlessX.sh", b"harmless\x00.sh"))
    assert "control characters" in refused(path)


def test_links_devices_and_members_of_the_same_name(tmp_path):
    assert "link" in refused(
        packed(tmp_path / "a.zip", {"MedHC.jsonl": ROW, member("l", stat.S_IFLNK): b"/etc/passwd"})
    )
    assert "device" in refused(packed(tmp_path / "b.zip", {"MedHC.jsonl": ROW, member("f", stat.S_IFIFO): b""}))
    with pytest.warns(UserWarning, match="Duplicate"):
        path = packed(tmp_path / "c.zip", {member("MedHC.jsonl"): ROW, member("MedHC.jsonl"): ROW})
    assert "Two members" in refused(path)


@pytest.mark.parametrize("name", ["inner.zip", "inner.tar.gz", "a/b.ZIP", "x.7z"])
def test_archives_inside_archives(tmp_path, name):
    assert "archive itself" in refused(packed(tmp_path / "r.zip", {"MedHC.jsonl": ROW, name: b"PK"}))


def test_a_bomb_is_refused_by_its_ratio(tmp_path):
    assert "grows" in refused(packed(tmp_path / "r.zip", {"MedHC.jsonl": b" " * (8 * 1024 * 1024)}))


def test_a_total_and_a_member_beyond_the_limits(tmp_path, monkeypatch):
    path = packed(tmp_path / "r.zip", {"MedHC.jsonl": ROW * 100, "MedMC.jsonl": ROW * 100})
    monkeypatch.setattr(tree, "LARGEST_FILE", 1000)
    assert "larger than" in refused(path)
    monkeypatch.setattr(tree, "LARGEST_FILE", 10**9)
    monkeypatch.setattr(tree, "LARGEST_TOTAL", len(ROW) * 150)
    assert "archive is larger" in refused(path)


def test_more_members_than_there_may_be(tmp_path):
    path = tmp_path / "r.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(tree.MOST_FILES + 1):
            archive.writestr(f"{number}", b"")
    assert "more than" in refused(path)


@pytest.mark.parametrize("said", [1, 65535])
def test_a_million_members_that_the_directory_lies_about(tmp_path, said):
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * 1_000_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, said, said, len(directory), 0, 0)
    path = tmp_path / "r.zip"
    path.write_bytes(directory + end)
    assert "more than" in refused(path)


def test_a_directory_hidden_behind_a_second_end_record(tmp_path):
    # The last signature stands inside the true end record's own field: whoever searches for it reads another directory.
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * 200_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), 0x06054B50, 0)
    path = tmp_path / "r.zip"
    path.write_bytes(directory + end)
    refused(path)


def test_an_encrypted_member(tmp_path):
    path = packed(tmp_path / "r.zip", {"MedHC.jsonl": ROW})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert "encrypted" in refused(path)


def test_a_damaged_member_and_a_size_that_lies(tmp_path):
    path = packed(tmp_path / "r.zip", {"MedHC.jsonl": ROW * 50})
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    refused(path)
    path = packed(tmp_path / "s.zip", {"MedHC.jsonl": ROW * 50})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<L", 40)
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all" * 10, b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_zip(tmp_path, content):
    path = tmp_path / "r.zip"
    path.write_bytes(content)
    refused(path)


@settings(max_examples=150)
@given(data=st.data())
def test_any_damage_is_an_input_error_or_harmless(data, tmp_path_factory):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("T/MedHC.jsonl", ROW)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("zip") / "r.zip"
    path.write_bytes(content)
    with suppress(InputError):
        assert open_source(path).count == 1


def test_chinese_names_without_the_utf8_flag(tmp_path):
    name = "图文报告/1.pdf"
    for encoding in ("utf-8", "gb18030"):
        raw = name.encode(encoding)
        plain = "x" * len(raw)
        path = packed(tmp_path / f"{encoding}.zip", {plain: b"%PDF"})
        path.write_bytes(path.read_bytes().replace(plain.encode(), raw))
        assert ZipTree(path).files == (name,)


def test_a_member_is_unpacked_under_a_name_of_ours(tmp_path):
    opened = ZipTree(packed(tmp_path / "r.zip", {"a/-rf $(x).png": b"1"}))
    local = opened.local("a/-rf $(x).png")
    assert local.read_bytes() == b"1"
    assert local.name == "0.png"


def test_a_folder_is_read_without_links(tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jsonl").write_bytes(ROW)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "MedHC.jsonl").symlink_to(outside / "secret.jsonl")
    (inside / "deeper").symlink_to(outside)
    assert FolderTree(inside).files == ()
    monkeypatch.setattr(tree, "MOST_FILES", 3)
    for number in range(5):
        (inside / str(number)).touch()
    assert "more than" in refused(inside)
