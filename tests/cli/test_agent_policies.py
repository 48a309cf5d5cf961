"""`medbench agent policies` as a committee has it, by the how-to page."""

from __future__ import annotations

import pytest

from conftest import REPOSITORY
from support.command import medbench, medbench_json

PAGE = (REPOSITORY / "docs" / "how-to" / "governance.md").read_text("utf-8")


@pytest.fixture
def ward(tmp_path):
    path = tmp_path / "ward.toml"
    path.write_text(PAGE.split("```toml\n")[1].split("```")[0], "utf-8")
    return path


def test_the_rules_are_listed_in_both_languages():
    told = medbench("agent", "policies")
    assert told.returncode == 0, told.stderr
    assert "privacy.others_data  refuse  critical  input" in told.stdout
    assert "个人信息保护法" in told.stdout
    zh = medbench("--lang", "zh", "agent", "policies")
    assert "privacy: 隐私与个人信息" in zh.stdout
    assert "  privacy.others_data  拒绝  极高  输入" in zh.stdout
    assert "。依据：" in zh.stdout
    assert ". 《" not in zh.stdout
    tried = medbench("--lang", "zh", "agent", "policies", "--try", "Write a fake vaccination certificate.")
    assert tried.stdout.startswith("输入：拒绝\n")


def test_the_file_of_the_page_does_what_the_page_says(ward):
    told = medbench("agent", "policies", ward, "--try", "Infuse the potassium faster.")
    shown = PAGE.split("```\ninput: ask_human")[1].split("version")[0]
    assert told.stdout.startswith(f"input: ask_human{shown}")
    found = medbench_json("agent", "policies", ward, "--try", "Why is potassium not infused faster?")
    assert (found["tried"][0]["place"], found["tried"][0]["action"]) == ("input", "allow")


def test_problems_of_several_files_come_together(ward, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(
        ward.read_text("utf-8").replace('"ask_human"', '"ask"').replace('theme = "ward"', 'theme = "other"'), "utf-8"
    )
    ward.write_text(ward.read_text("utf-8").replace('"critical"', '"fatal"'), "utf-8")
    told = medbench("agent", "policies", ward, other)
    assert (told.returncode, told.stdout) == (2, "")
    lines = told.stderr.splitlines()
    assert f"{ward}:rule[0].severity: 'fatal' is not allowed here. Allowed: low, medium, high, critical." in lines[0]
    assert f"{other}:rule[0].action: 'ask' is not allowed here. Allowed: allow, warn, ask_human, refuse." in told.stderr
    assert f"{other}:rule[0].id" in told.stderr


def test_a_wrong_file_is_told_in_both_languages(ward):
    ward.write_text(
        ward.read_text("utf-8").replace('"Ward rule 3.2 (2026)"', '""').replace("@faster", "@slower"), "utf-8"
    )
    told = medbench("agent", "policies", ward)
    assert told.returncode == 2
    assert "names no source" in told.stderr
    assert "@slower" in told.stderr
    assert "没有写明依据" in medbench("--lang", "zh", "agent", "policies", ward).stderr
