"""The command line in Chinese: Typer writes help pages and usage errors in English, gettext reaches few of its words.

`text/typer_zh.toml` has the Chinese of both: of our help texts paragraph by paragraph, and of Typer's own words.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import typer
from typer.main import get_command

from medbench.text import harmless, say

if TYPE_CHECKING:
    from typer._click.core import Command, Context

KEPT = "\b"  # a paragraph that begins with a line of this sign keeps its lines
WIDE = "\u2e80-\u9fff\uff00-\uffef"
OPENING, CLOSING = "（“《「", "，。、；：？！）”》」"
# What stays on one line: a note of Typer's, a Chinese character or a run of others, with marks that may not be apart.
PIECE = re.compile(
    rf"\s+|[{OPENING}]*(?:\[[^\[\]]*\]|[^\s{WIDE}{OPENING}{CLOSING}]+|[^\s{OPENING}{CLOSING}])?[{CLOSING}]*"
)


def run(app: typer.Typer) -> None:
    """Run the command line; ends with `SystemExit` as Typer does, the code being 2 after a usage error."""
    command = get_command(app)
    translate(command)
    try:
        code = command.main(standalone_mode=False)
    except typer.TyperException as error:
        _tell(error)
        code = error.exit_code
    sys.exit(code)


def translate(command: Command, parent: Context | None = None) -> None:
    """Put the help of a command and of all below it into Chinese; a text without translation stays English."""
    command.context_class = ChineseContext
    context = ChineseContext(command, parent=parent, **command.context_settings)
    for parameter in command.get_params(context):
        if isinstance(text := getattr(parameter, "help", None), str):
            parameter.help = _help(text)  # type: ignore[attr-defined]
    command.help = _help(command.help or "")
    # Typer would look for the end of the first sentence, and cut it, between words.
    command.short_help = command.help.partition("\n\n")[0].partition("。")[0] + "。"
    for name in ("options_metavar", "subcommand_metavar"):
        if isinstance(text := getattr(command, name, None), str):
            setattr(command, name, typers(text))
    for child in getattr(command, "commands", {}).values():
        translate(child, context)


def paragraphs(text: str) -> Iterator[tuple[str, list[str]]]:
    """The paragraphs of a help text: what is to be translated of each, and the lines that are kept below it."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        first, *rest = paragraph.split("\n")
        if first == KEPT:
            yield rest[0], rest[1:]
        else:
            yield " ".join(paragraph.split()), []


def typers(text: str) -> str:
    """A word or a message of Typer in Chinese; as it is where the catalogue has none."""
    for pattern, chinese in _typers_patterns():
        if found := pattern.fullmatch(text):
            fields = found.groupdict()
            if "why" in fields:
                fields["why"] = typers(fields["why"])
            return chinese.format(**fields)
    return text


class ChineseFormatter(typer.Context.formatter_class):  # type: ignore[misc, valid-type] # no public name
    """Writes help pages with Chinese headings, in lines that fit: a Chinese character takes two columns."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line that shows how the command is called."""
        super().write_usage(prog, args, prefix or typers("Usage: "))

    def write_heading(self, heading: str) -> None:
        """Write the heading of a section."""
        self.write(f"{'':{self.current_indent}}{typers(heading)}：\n")

    def write_text(self, text: str) -> None:
        """Write the help text of a command."""
        indent = " " * self.current_indent
        blocks = []
        for paragraph in text.split("\n\n"):
            kept, _, rest = paragraph.partition("\n")
            lines = rest.split("\n") if kept == KEPT else fill(paragraph, self.width - self.current_indent)
            blocks.append("\n".join(f"{indent}{line}" for line in lines))
        self.write("\n\n".join(blocks) + "\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write options or commands with their help beside them, or below a name longer than `col_max`."""
        column = min(max(len(name) for name, _ in rows), col_max) + col_spacing
        indent = " " * (self.current_indent + column)
        for name, text in rows:
            lines = fill(_with_notes(text), self.width - len(indent))
            if len(name) > column - col_spacing:
                lines.insert(0, "")
            begin = f"{'':{self.current_indent}}{name:{column}}"
            self.write("\n".join([begin + lines[0], *(indent + line for line in lines[1:])]).rstrip(" ") + "\n")


class ChineseContext(typer.Context):
    """A context whose pages are Chinese."""

    formatter_class = ChineseFormatter


def fill(text: str, width: int) -> list[str]:
    """The lines of a paragraph, each at most `width` columns unless a single word is longer."""
    lines = [""]
    for piece in PIECE.findall(text):
        if columns(lines[-1]) + columns(piece.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return lines


def columns(text: str) -> int:
    """The columns that a text takes in a terminal."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _help(text: str) -> str:
    translated = []
    for english, kept in paragraphs(text):
        chinese = _catalogue()["help"].get(english, english)
        translated.append("\n".join([KEPT, chinese, *kept]) if kept else chinese)
    return "\n\n".join(translated)


def _with_notes(text: str) -> str:
    """The help of an option with Typer's notes after it, such as `[default: 0; required]`, in Chinese."""
    found = re.fullmatch(r"(.*?)\s*\[([^\[\]]+)\]", text, re.DOTALL)
    if not found:
        return text
    notes = "；".join(typers(note) for note in found[2].split("; "))
    return f"{found[1]} [{notes}]"


def _tell(error: typer.TyperException) -> None:
    context: Context | None = getattr(error, "ctx", None)
    if context is not None:
        page = context.get_help()
        if error.message == page:  # a group without a command: no error to speak of
            print(page, file=sys.stderr)
            return
        command = f"{context.command_path} {context.help_option_names[0]}"
        print(f"{context.get_usage()}\n{say('cli.more_help', command=command)}\n", file=sys.stderr)
    print(f"{say('cli.error')} {harmless(typers(error.format_message()))}", file=sys.stderr)


@cache
def _catalogue() -> dict[str, dict[str, str]]:
    return tomllib.loads(files("medbench.text").joinpath("typer_zh.toml").read_text("utf-8"))


@cache
def _typers_patterns() -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(english)), re.DOTALL), chinese)
        for english, chinese in _catalogue()["typer"].items()
    ]
