"""What every command owes its caller: help with an example, exit codes, one JSON object, messages in two languages."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from medbench import __version__
from medbench.cli import main as command_line

HEAVY = ("numpy", "scipy", "pyarrow", "aiohttp", "typer", "rich", "jinja2", "torch", "msgspec", "duckdb")


def leaves(command, path=()) -> list[tuple[str, ...]]:
    if not hasattr(command, "commands"):
        return [path]
    return [leaf for name, child in command.commands.items() for leaf in leaves(child, (*path, name))]


LEAVES = leaves(typer.main.get_command(command_line.app))


def run(capfd, monkeypatch, *arguments: str, lang: str = "C.UTF-8") -> tuple[int, str, str]:
    """Run the command line in this process."""
    monkeypatch.setattr(sys, "argv", ["medbench", *arguments])
    monkeypatch.setenv("LC_ALL", lang)
    monkeypatch.setenv("COLUMNS", "160")
    code: object = 0
    try:
        command_line.main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        command_line.set_language("en")
    out, error = capfd.readouterr()
    assert isinstance(code, int)
    return code, out, error


def test_the_commands_of_the_contract_are_there():
    assert {" ".join(leaf) for leaf in LEAVES} >= {
        "demo", "catalog datasets", "catalog specialties", "catalog show", "items import", "items validate", "run",
        "resume", "status", "score", "report", "compare", "export submission", "board aggregate",
    }  # fmt: skip


@pytest.mark.parametrize("leaf", LEAVES, ids=" ".join)
def test_every_command_has_help_with_an_example_that_parses(leaf):
    shown = CliRunner().invoke(command_line.app, [*leaf, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    examples = re.findall(rf"^ +medbench {' '.join(leaf)}\b.*$", shown.output.split("Example")[-1], re.MULTILINE)
    assert examples, shown.output
    command = typer.main.get_command(command_line.app)
    for name in leaf:
        command = command.commands[name]
    for example in examples:
        # Parsing alone: options that do not exist or lack their values are refused here.
        command.make_context("x", example.partition(" | ")[0].split()[1 + len(leaf) :])


@pytest.mark.parametrize("leaf", LEAVES, ids=" ".join)
def test_wrong_usage_is_2_with_a_message_on_stderr(leaf, capfd, monkeypatch):
    code, out, error = run(capfd, monkeypatch, *leaf, "--no-such-option")
    assert (code, out) == (2, "")
    assert "--no-such-option" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "arguments",
    [
        ("nope",),
        ("status",),
        ("run", "--items", "x"),
        ("catalog", "datasets", "--track", "nope"),
        ("catalog", "show", "Nope"),
        ("run", "--items", "x", "--model", "y", "--out", "z", "--limit", "0"),
        ("run", "--items", "x", "--model", "nope", "--out", "z"),
        ("run", "--items", "x", "--model", "nope:x", "--out", "z"),
        ("run", "--items", "x", "--model", "openai:x", "--out", "z"),
        ("run", "--items", "x", "--model", "openai:x", "--base-url", "ftp://x", "--out", "z"),
        ("run", "--items", "x", "--model", "openai:x", "--base-url", "https://user:secret@x/v1", "--out", "z"),
        ("run", "--items", "x", "--model", "openai:x", "--base-url", "https://x/v1?key=secret", "--out", "z"),
        ("run", "--items", "/nonexistent", "--model", "openai:x", "--base-url", "http://x", "--out", "z"),
        ("run", "--items", "x", "--model", "local:nope", "--out", "z"),
        ("items", "validate", "/nonexistent"),
        ("board", "aggregate", "/nonexistent", "--track", "llm"),
        *((command, "/nonexistent") for command in ("resume", "status", "score", "report")),
        ("compare", "/nonexistent", "/nonexistent"),
        ("export", "submission", "/nonexistent", "--out", "x.zip"),
        ("--lang", "fr", "status", "x"),
    ],
    ids=" ".join,
)
def test_wrong_input_is_2_and_nothing_is_made(arguments, capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for more in ((), ("--json",)) if arguments[0] in ("run", "resume", "status", "score", "report") else ((),):
        code, out, error = run(capfd, monkeypatch, *arguments, *more)
        assert (code, out) == (2, ""), error
        assert "Error: " in error
        assert "secret" not in error
        assert not list(tmp_path.iterdir())


def test_messages_follow_the_language(capfd, monkeypatch):
    for arguments, lang, words in (
        (("status", "/nonexistent"), "zh_CN.UTF-8", "错误： /nonexistent 中没有运行记录"),
        (("--lang", "zh", "status", "/nonexistent"), "en_US.UTF-8", "错误： /nonexistent 中没有运行记录"),
        (("--lang", "en", "status", "/nonexistent"), "zh_CN.UTF-8", "Error: /nonexistent holds no run"),
        (("status", "/nonexistent"), "de_DE.UTF-8", "Error: /nonexistent holds no run"),
    ):
        code, _, error = run(capfd, monkeypatch, *arguments, lang=lang)
        assert code == 2
        assert error.startswith(words)
    chinese = run(capfd, monkeypatch, "--lang", "zh", "catalog", "show", "MedExam")
    english = run(capfd, monkeypatch, "--lang", "en", "catalog", "show", "MedExam")
    assert chinese[0] == english[0] == 0
    assert chinese[1] != english[1]


@pytest.mark.parametrize(
    "arguments",
    [("catalog", "datasets"), ("catalog", "specialties"), ("catalog", "show", "MedExam")],
    ids=" ".join,
)
def test_json_is_one_object_on_stdout_and_nothing_else(arguments, capfd, monkeypatch):
    code, out, error = run(capfd, monkeypatch, *arguments, "--json")
    assert (code, error) == (0, "")
    assert isinstance(json.loads(out), dict)


def test_version(capfd, monkeypatch):
    assert run(capfd, monkeypatch, "--version") == (0, f"{__version__}\n", "")


def test_ctrl_c_is_1_with_a_word(capfd, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("medbench.runs.status.run_status", interrupted)
    code, out, error = run(capfd, monkeypatch, "status", "x")
    assert (code, out) == (1, "")
    assert "Interrupted" in error


def test_a_reader_that_has_enough_is_no_error():
    shell = subprocess.run(
        f"{sys.executable} -m medbench catalog datasets --json | head -c 10",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert len(shell.stdout) == 10
    assert shell.stderr == ""


def test_importing_is_light():
    code = f"""
import sys, time
before = set(sys.modules)
start = time.perf_counter()
import medbench
took = time.perf_counter() - start
new = set(sys.modules) - before
assert not new & set({HEAVY!r}), sorted(new)
assert took < 0.2, took
import medbench.cli.main
assert not {{"numpy", "scipy", "pyarrow", "aiohttp", "jinja2", "torch", "vl_convert", "xllamacpp"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_in_the_base_needs_torch():
    code = """
import importlib, pkgutil, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "fastapi", "monai", "ray", "xllamacpp", "vl_convert"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import medbench
for module in pkgutil.walk_packages(medbench.__path__, "medbench."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
