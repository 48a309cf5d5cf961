"""Help and usage errors in Chinese: every text has a translation, pages keep their columns, errors their code."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.resources import files

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.main import get_command

from medbench.cli import main as command_line
from medbench.cli.chinese import CLOSING, OPENING, PIECE, fill, paragraphs
from medbench.errors import WorkError

CATALOGUE = tomllib.loads(files("medbench.text").joinpath("typer_zh.toml").read_text("utf-8"))
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def walk(command, path="medbench", parent=None):
    """(path, command, context) of the program and of every command below it."""
    context = command.context_class(command, info_name=path, parent=parent, **command.context_settings)
    yield path, command, context
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, f"{path} {name}", context)


COMMANDS = list(walk(get_command(command_line.app)))
HELP = {
    english: f"{path} {getattr(owner, 'opts', '')}"
    for path, command, context in COMMANDS
    for owner in (command, *command.get_params(context))
    for english, _ in paragraphs(owner.help or "")
    if english
}


@pytest.fixture
def run(capfd, monkeypatch):
    """Run the command line in this process, 80 columns wide."""

    def command(*arguments: str, locale: str = "C.UTF-8") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["medbench", *arguments])
        monkeypatch.setenv("LC_ALL", locale)
        monkeypatch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as end:
            command_line.main()
        command_line.set_language("en")
        out, error = capfd.readouterr()
        return end.value.code or 0, out, error

    return command


def test_every_help_text_has_a_translation_and_no_translation_is_stale():
    missing = [f"{where}: {english}" for english, where in HELP.items() if english not in CATALOGUE["help"]]
    stale = [english for english in CATALOGUE["help"] if english not in HELP]
    assert not missing, "\n".join(["add to text/typer_zh.toml:", *missing])
    assert not stale, "\n".join(["no longer said, remove from text/typer_zh.toml:", *stale])


def test_translations_are_chinese_and_keep_names_and_numbers():
    for english, chinese in CATALOGUE["help"].items():
        assert CHINESE.search(chinese), english
        kept = re.findall(r"`[^`]+`|--[a-z][a-z-]+|\b\w+\.[a-z]\w+|\b\d+\b|\b[A-Z]{3,}\b", english)
        assert [name for name in kept if name not in chinese and name != "DATASET"] == [], english


@pytest.mark.parametrize("path", [path for path, _, _ in COMMANDS])
def test_a_chinese_page_has_the_options_of_the_english_one_and_keeps_its_columns(path, run):
    words = path.split()[1:]
    code, chinese, error = run("--lang", "zh", *words, "--help")
    assert (code, error) == (0, "")
    english = run(*words, "--help")[1]
    assert not CHINESE.search(re.sub(r"“.*?”", "", english))

    def section(page: str, heading: str) -> list[str]:
        """First column of the rows below a heading."""
        found = re.search(rf"^{heading}\n(.*?)(?:\n\n|\Z)", page, re.DOTALL | re.MULTILINE)
        return re.findall(r"^  (\S.*?)(?:  .*)?$", found[1], re.MULTILINE) if found else []

    for heading, translated in (("Options:", "选项："), ("Commands:", "命令："), ("Arguments:", "参数：")):
        assert section(chinese, translated) == section(english, heading)
    assert re.match(r"用法：\S.* \[选项\]", chinese)
    assert section(chinese, "选项：")[-1].startswith("-h, --help")
    # Examples stay as they are, however long; all else fits, and help stands in one column.
    lines = [line for line in chinese.splitlines() if line not in english.splitlines()]
    assert max(map(cell_len, lines)) <= 80
    for heading in ("选项：", "命令："):
        rows = chinese.partition(f"\n{heading}\n")[2].partition("\n\n")[0].splitlines()
        starts = {len(found[0]) for row in rows if (found := re.match(r"  \S.*?  +|  {3,}", row)) and len(found[0]) > 4}
        assert len(starts) <= 1, rows
    assert not re.search(r"required|default: |\[OPTIONS\]", "\n".join(lines))


@pytest.mark.parametrize(
    ("arguments", "locale", "language"),
    [
        (("--lang", "zh", "run", "--help"), "en_US.UTF-8", "zh"),
        (("--lang=zh", "--help"), "en_US.UTF-8", "zh"),
        (("--help", "--lang", "zh"), "en_US.UTF-8", "zh"),
        (("run", "-h"), "zh_CN.UTF-8", "zh"),
        (("--lang", "en", "run", "--help"), "zh_CN.UTF-8", "en"),
        (("--lang", "zh", "--lang", "en", "--help"), "zh_CN.UTF-8", "en"),
        (("run", "--help"), "de_DE.UTF-8", "en"),
    ],
)
def test_help_follows_the_language(arguments, locale, language, run):
    code, out, _ = run(*arguments, locale=locale)
    assert code == 0
    assert out.startswith("用法：" if language == "zh" else "Usage: ")


@pytest.mark.parametrize("group", [(), ("judge",)])
def test_a_group_alone_shows_its_page_on_stderr(group, run):
    for locale, words in (("C.UTF-8", "Usage: "), ("zh_CN.UTF-8", "用法：")):
        code, out, error = run(*group, locale=locale)
        assert (code, out) == (2, "")
        assert error.startswith(words)
        assert error.rstrip() == run(*group, "--help", locale=locale)[1].rstrip()


USAGE = [
    (("--lang", "{}"), "Missing command.", "缺少命令。"),
    (("rn",), "No such command 'rn'. Did you mean 'run'?", "没有命令 'rn'。是否要用 'run'？"),
    (("judge", "nope"), "No such command 'nope'.", "没有命令 'nope'。"),
    (("--nope",), "No such option: --nope", "没有选项 --nope。"),
    (("run", "-x"), "No such option: -x", "没有选项 -x。"),
    (
        ("judge", "sample", "--outt"),
        "No such option: --outt (Possible options: --out)",
        "没有选项 --outt。相近的选项：--out",
    ),
    (("run",), "Missing option '--items'.", "缺少选项 '--items'。"),
    (("status",), "Missing argument 'run_dir'.", "缺少参数 'run_dir'。"),
    (
        ("board", "aggregate", "x"),
        "Missing option '--track'. Choose from:\n\tllm,\n\tmultimodal,\n\tagent",
        "缺少选项 '--track'。可选值：\n\tllm,\n\tmultimodal,\n\tagent",
    ),
    (("run", "--items"), "Option '--items' requires an argument.", "选项 '--items' 需要一个值。"),
    (("run", "--json=1"), "Option '--json' does not take a value.", "选项 '--json' 不接受值。"),
    (("status", "a", "b"), "Got unexpected extra argument(s) (b)", "多余的参数：b"),
    (
        ("run", "--disclosure", "x"),
        "Invalid value for '--disclosure': Value error, 'x' is not one of 'local', 'hidden'.",
        "'--disclosure' 的值无效：'x' 不在可选值之中：'local', 'hidden'。",
    ),
    (
        ("run", "--limit", "1.5"),
        "Invalid value for '--limit': Input should be a valid integer, unable to parse string as an integer",
        "'--limit' 的值无效：应为整数。",
    ),
    (
        ("run", "--timeout", "x"),
        "Invalid value for '--timeout': Input should be a valid number, unable to parse string as a number",
        "'--timeout' 的值无效：应为数字。",
    ),
    (
        ("run", "--limit", "0"),
        "Invalid value for '--limit': Input should be greater than or equal to 1",
        "'--limit' 的值无效：应大于或等于 1。",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "english", "chinese"), USAGE, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_wrong_usage_is_told_in_both_languages(arguments, english, chinese, run):
    for language, usage, message in (("en", "Usage: ", f"Error: {english}"), ("zh", "用法：", f"错误： {chinese}")):
        given = [argument.format(language) for argument in arguments]
        code, out, error = run("--lang", language, *given)
        assert (code, out) == (2, "")
        assert error.endswith(f"\n{message}\n") or error == f"{message}\n", error
        # Typer knows of no command where an option has no value.
        assert error.startswith(usage) or english.startswith("Option ")


def test_an_unknown_language_is_told_in_that_of_the_locale(run):
    for locale, words in (("C.UTF-8", "Error: 'fr' is no language"), ("zh_CN.UTF-8", "错误： 本程序没有“fr”这种语言")):
        code, out, error = run("--lang", "fr", "run", "--help", locale=locale)
        assert (code, out) == (2, "")
        assert error.startswith(words)


def test_what_is_typed_is_shown_and_does_nothing(run):
    for typed in ("{0.__class__}", "Missing command.", "\x1b[31m"):
        code, _, error = run("--lang", "zh", "run", "--disclosure", typed)
        assert code == 2
        assert "不在可选值之中" in error
        assert "\x1b" not in error


@pytest.mark.parametrize(
    ("raised", "said"), [(KeyboardInterrupt(), "已中断"), (typer.Exit(1), ""), (WorkError("x"), "错误： x")]
)
def test_a_failure_during_work_is_1(raised, said, run, monkeypatch):
    def status(*_: object) -> None:
        raise raised

    monkeypatch.setattr("medbench.runs.status.run_status", status)
    code, out, error = run("--lang", "zh", "status", "x")
    assert (code, out) == (1, "")
    assert error.strip().startswith(said)


def test_typer_still_says_what_is_translated(run):
    said = [message for _, english, _ in USAGE for message in (english, english.partition(": ")[2])]
    pages = "\n\n".join(run(*path.split()[1:], "--help")[1] for path, _, _ in COMMANDS)
    for template in CATALOGUE["typer"]:
        pattern = re.sub(r"\\{\w+\\}", ".+", re.escape(template))
        assert re.search(pattern, pages) or any(re.search(pattern, message, re.DOTALL) for message in said), template


@given(st.text(st.sampled_from("评测模型，。、（）“”ab-1 "), max_size=80), st.integers(10, 80))
def test_lines_fit_and_say_the_same(text, width):
    text = re.sub(rf"\s+(?=[{CLOSING}]|$)|(?<=[{OPENING}])\s+|^\s+", "", text)
    lines = fill(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert line == line.strip()
        assert cell_len(line) <= width or sum(map(bool, PIECE.findall(line))) == 1
    assert not {line[0] for line in lines[1:]} & set(CLOSING)
    assert not {line[-1] for line in lines[:-1] if line} & set(OPENING)
