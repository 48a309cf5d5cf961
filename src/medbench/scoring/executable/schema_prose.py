"""Tables described in the words of a question, with Oracle types.

Covers what MedDBOps writes: `1. 患者表 (patient)`, then lines such as `字段名：id (数据类型：VARCHAR2(20))：…（主键）`,
in half-width and full-width signs. A description that can't be read whole names why.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from medbench.scoring.executable.model import QUOTED, Finding

Kind = Literal["text", "number", "date"]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("VARCHAR2", "NVARCHAR2", "VARCHAR", "CHAR", "NCHAR", "CLOB", "NCLOB", "LONG", "TEXT"), "text"),
    **dict.fromkeys(
        (
            "NUMBER",
            "INTEGER",
            "INT",
            "SMALLINT",
            "BIGINT",
            "FLOAT",
            "DECIMAL",
            "NUMERIC",
            "BINARY_DOUBLE",
            "REAL",
            "DOUBLE",
        ),
        "number",
    ),
    **dict.fromkeys(("DATE", "TIMESTAMP", "DATETIME"), "date"),
}
_NAME = r"[A-Za-z_][A-Za-z0-9_$#]*"
_TABLE = re.compile(rf"(?<![\d.])\d+\s*[.．、]\s*(?P<title>[^\n（(:：]+?)\s*[（(]\s*(?P<name>{_NAME})\s*[)）]")
_NUMBERED = re.compile(r"^\s*\d+\s*[.．、]\s*\S*表", re.M)
_COLUMN = re.compile(
    rf"字段名\s*[:：]\s*(?P<name>{_NAME})\s*[（(]\s*数据类型\s*[:：]\s*(?P<type>[A-Za-z][A-Za-z0-9_]*)"
    r"\s*(?:\(\s*(?P<size>\d+)\s*(?:,\s*(?P<scale>-?\d+)\s*)?\))?(?P<more>[^()（）\n]*)[)）]\s*[:：]?(?P<text>[^\n]*)"
)
_COLUMN_WORD = re.compile(r"字段名\s*[:：]")
_KEY = re.compile(r"主键")
_OTHER = re.compile(r"外键|关联")
_LISTED = re.compile(r"(?:例如|比如|如)\s*[:：]?\s*([^)）。，,]+)")


class Column(msgspec.Struct, frozen=True):
    """A column.

    Attributes:
        name: As described.
        kind: What its values are.
        size: Characters of a text, digits of a number; 0 where it is not said.
        scale: Digits of a number behind the point.
        key: Of the primary key.
        references: (table, column) that it names one of; None: it names none.
        values: That the description gives as examples.
    """

    name: str
    kind: Kind
    size: int = 0
    scale: int = 0
    key: bool = False
    references: tuple[str, str] | None = None
    values: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True):
    """A table."""

    name: str
    columns: tuple[Column, ...]


class Schema(msgspec.Struct, frozen=True):
    """The tables of a question, in its order.

    Attributes:
        tables: Those that could be read.
        gaps: What could not; empty: the description was read whole.
    """

    tables: tuple[Table, ...]
    gaps: tuple[Finding, ...] = ()


class _Described(msgspec.Struct):
    table: str
    title: str
    column: Column
    text: str


def read_schema(question: str) -> Schema:
    """Read the tables that a question describes."""
    headers = [
        each for each in _TABLE.finditer(question) if _COLUMN_WORD.match(question[each.end() :].lstrip(" :：\n"))
    ]
    if not headers:
        return Schema((), (Finding("no_table"),))
    gaps: list[Finding] = []
    described: list[_Described] = []
    ends = [header.start() for header in headers[1:]] + [len(question)]
    for header, end in zip(headers, ends, strict=True):
        for found in _COLUMN.finditer(question, header.end(), end):
            kind = _KINDS.get(found["type"].upper())
            place = f"{header['name']}.{found['name']}"
            if kind is None:
                gaps.append(Finding("unknown_type", f"{place} ({found['type']})"))
                continue
            text = found["text"].partition("字段名")[0]
            quoted = QUOTED.findall(text)
            listed = _LISTED.search(text)
            if not quoted and listed:
                quoted = [each.strip() for each in re.split(r"[、/]", listed[1]) if each.strip()]
            column = Column(
                found["name"],
                kind,
                int(found["size"] or 0),
                int(found["scale"] or 0),
                key=bool(_KEY.search(text)),
                values=tuple(quoted) if kind == "text" else (),
            )
            described.append(_Described(header["name"], header["title"].strip(), column, text))
    read = len(described) + len(gaps)
    if not described:
        gaps.append(Finding("no_table"))
    elif read != (words := len(_COLUMN_WORD.findall(question))):
        gaps.append(Finding("columns_not_read", f"{read} / {words}"))
    if described and len(headers) < len(_NUMBERED.findall(question)):
        gaps.append(Finding("tables_not_read", f"{len(headers)} / {len(_NUMBERED.findall(question))}"))
    tables = {header["name"]: [each for each in described if each.table == header["name"]] for header in headers}
    return Schema(
        tuple(Table(name, tuple(_linked(each, described) for each in several)) for name, several in tables.items()),
        tuple(gaps),
    )


def _linked(one: _Described, described: list[_Described]) -> Column:
    """The column with what it refers to: the table that its text names, else the key of that name elsewhere."""
    column = one.column
    if not _OTHER.search(one.text) or column.key:
        return column
    others = [each for each in described if each.table != one.table]
    titles = {each.table for each in others if each.table in one.text or each.title in one.text}
    alike = [each for each in others if each.column.name.lower() == column.name.lower()]
    # The same name in the table that is named, as its key first; then that table's key; then a key of the same name.
    choices = [
        *(each for each in sorted(alike, key=lambda each: not each.column.key) if each.table in titles),
        *(each for each in others if each.column.key and each.table in titles),
        *(each for each in alike if each.column.key),
    ]
    if not choices:
        return column
    return msgspec.structs.replace(column, references=(choices[0].table, choices[0].column.name))
