"""Tables in memory with synthetic rows in which a query finds something.

What a query compares a column with becomes a value of it, and the first rows of all tables belong together: row 0 of a
child belongs to row 0 of its parent, and both hold the first value wanted of every column. Further rows mix the wanted
values with others, at random from a seed, so that conditions that exclude one another and rows without a partner are
met as well.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from medbench.scoring.executable.schema_prose import Column, Schema, Table
from medbench.scoring.executable.sql_dialect import Hint, Place
from medbench.scoring.executable.sql_functions import as_date, as_text

ROWS = (8, 64, 256)
"""Rows of a table that others refer to, of one that refers to those, and of one that refers to these."""
WITHOUT_PARTNER = 2
"""Rows behind these that no other table refers to."""
LAST_YEAR = 2200
"""Later dates stand for "never"."""
MOST_MORE = 1_000
"""Further rows where a query wants so many of them."""
_EMPTY = 0.08
"""Share of empty values in rows at random."""
_AROUND = {"=": (0, 1, -1, 20, -40), ">": (1, 20, 0), "<": (-1, -40, 0)}
"""Days from a date that a query compares a column with."""

Value = str | int | float | None


class _Row(NamedTuple):
    own: int  # which value a key takes
    link: int  # which row of another table it refers to
    pick: int | None  # which of the wanted values its columns take; None: any


class Wanted(NamedTuple):
    """What queries say of the rows that they look for: in which tables, and with which values."""

    hints: Sequence[Hint]
    joins: Sequence[tuple[Place, Place]]
    dates: Sequence[str]
    words: Sequence[str]
    tables: frozenset[str]


def fill(connection: sqlite3.Connection, schema: Schema, wanted: Wanted, now: str, seed: int) -> None:
    """Create the tables of a schema and fill them.

    Args:
        connection: Of an empty database.
        schema: Its tables.
        wanted: What the rows should hold.
        now: The current time; dates lie before it.
        seed: The same seed gives the same rows.
    """
    maker = _Maker(schema, wanted, now, random.Random(seed))  # noqa: S311 - rows, no secrets
    for table in schema.tables:
        names = ", ".join(
            f"`{column.name}` {'NUMERIC' if column.kind == 'number' else 'TEXT'}" for column in table.columns
        )
        marks = ", ".join("?" * len(table.columns))
        connection.execute(f"CREATE TABLE `{table.name}` ({names})")
        if table.name.lower() not in wanted.tables:
            continue
        connection.executemany(f"INSERT INTO `{table.name}` VALUES ({marks})", maker.rows(table))  # noqa: S608 - names are words
    if all(table.name.lower() != "dual" for table in schema.tables):
        connection.execute("CREATE TABLE dual (dummy TEXT)")
        connection.execute("INSERT INTO dual VALUES ('X')")


class _Maker:
    def __init__(self, schema: Schema, wanted: Wanted, now: str, chance: random.Random) -> None:
        self._tables = {table.name.lower(): table for table in schema.tables}
        self._wanted = wanted
        self._random = chance
        moment = as_date(now)
        assert moment
        self._now = moment
        self._domains = self._joined()
        self._owners = self._owned()
        self._depths: dict[str, int] = {}
        numbers = [hint.value for hint in wanted.hints if isinstance(hint.value, float) and not self._places(hint)]
        self._more = int(min(max([5.0, *numbers]), MOST_MORE)) + 2
        self._pools: dict[Place, list[Value]] = {}

    def rows(self, table: Table) -> Iterator[list[Value]]:
        """The rows of a table."""
        for row in self._plan(table):
            yield [self._value((table.name.lower(), column.name.lower()), column, row) for column in table.columns]

    def _plan(self, table: Table) -> Iterator[_Row]:
        depth = self._depth(table.name.lower(), frozenset())
        size = ROWS[depth]
        for index in range(size):
            block = index // ROWS[0] if depth else index
            yield _Row(index, index, block // 2 if block % 2 == 0 else None)
        for index in range(size, size + WITHOUT_PARTNER):
            yield _Row(index, index, 0 if index == size else None)
        if depth:
            # As many rows of one partner as a query may want, all with what it looks for.
            for index in range(size + WITHOUT_PARTNER, size + WITHOUT_PARTNER + self._more):
                yield _Row(index, 0, 0)

    def _value(self, place: Place, column: Column, row: _Row) -> Value:
        domain = self._domains.get(place)
        if domain is not None:
            owners = self._owners[domain]
            if place in owners:
                return self._key(domain, column, row.own)
            smallest = min((ROWS[self._depth(table, frozenset())] for table, _ in owners), default=ROWS[0])
            return self._key(domain, column, row.link % smallest)
        if column.key and self._single_key(place):
            return self._key(place, column, row.own)
        pool = self._pool(place, column)
        if row.pick is not None:
            return pool[row.pick % len(pool)]
        if self._random.random() < _EMPTY and not column.key:
            return None
        return self._random.choice(pool)

    def _key(self, domain: Place, column: Column, index: int) -> Value:
        wanted = [value for value in self._wanted_of(self._members(domain), column) if value is not None]
        if index < len(wanted):
            return wanted[index]
        if column.kind == "number":
            return 1_000 + index
        if column.kind == "date":
            return as_text(self._now - timedelta(days=index + 1))
        return f"{re.sub('_?(id|no|code)$', '', domain[1], flags=re.I)[:8].upper()}{index:05d}"

    def _pool(self, place: Place, column: Column) -> list[Value]:
        if place not in self._pools:
            pool = [*self._wanted_of([place], column), *column.values]
            if column.kind == "date":
                pool += [as_text(self._now - timedelta(days=days)) for days in (3, 10, 45, 200, 400)]
            elif column.kind == "number":
                pool += self._numbers(column)
            else:
                pool += [*self._wanted.words, *(f"{column.name.lower()} {letter}" for letter in "abcd")]
            self._pools[place] = list(dict.fromkeys(pool))
        return self._pools[place]

    def _wanted_of(self, places: Sequence[Place], column: Column) -> list[Value]:
        """Values that queries want of a column, in their order."""
        values: list[Value] = []
        for hint in self._wanted.hints:
            if any(hint.column == name and hint.table in ("", table) for table, name in places):
                values += _values(hint, column)
        if column.kind == "date":
            values += [value for each in self._wanted.dates for value in _around(each, "=")]
        return list(dict.fromkeys(values))

    @staticmethod
    def _numbers(column: Column) -> list[Value]:
        if column.size and column.scale >= column.size - 1:
            return [0.5, 0.85, 0.1, 0.95]
        largest = 10 ** (column.size - column.scale) - 1 if column.size else 1_000
        return [value for value in (1, 2, 0, 3, 5, 12, 37, 68, 120, 480) if value <= largest]

    # ---- which columns belong together

    def _places(self, hint: Hint) -> list[Place]:
        return [
            (table, hint.column)
            for table, each in self._tables.items()
            if hint.table in ("", table) and any(column.name.lower() == hint.column for column in each.columns)
        ]

    def _joined(self) -> dict[Place, Place]:
        """Column -> first column of those that hold the same values: by references, and by what queries set equal."""
        first: dict[Place, Place] = {}

        def root(place: Place) -> Place:
            while first.get(place, place) != place:
                place = first[place]
            return place

        pairs: list[tuple[Place, Place]] = []
        for name, table in self._tables.items():
            for column in table.columns:
                if column.references:
                    other = (column.references[0].lower(), column.references[1].lower())
                    pairs.append((other, (name, column.name.lower())))
        for left, right in self._wanted.joins:
            sides = [self._places(Hint(*side, "=", "")) for side in (left, right)]
            pairs += [(one, another) for one in sides[0] for another in sides[1]]
        for one, another in pairs:
            first.setdefault(one, one)
            first.setdefault(another, another)
            first[root(another)] = root(one)
        return {place: root(place) for place in first}

    def _members(self, domain: Place) -> list[Place]:
        return [place for place, root in self._domains.items() if root == domain] or [domain]

    def _owned(self) -> dict[Place, list[Place]]:
        """Domain -> its columns whose values are unique in their table."""
        referred = {
            (column.references[0].lower(), column.references[1].lower())
            for table in self._tables.values()
            for column in table.columns
            if column.references
        }
        return {
            domain: [
                place
                for place in self._members(domain)
                if (place in referred and not self._column(place).references) or self._single_key(place)
            ]
            for domain in set(self._domains.values())
        }

    def _column(self, place: Place) -> Column:
        return next(each for each in self._tables[place[0]].columns if each.name.lower() == place[1])

    def _single_key(self, place: Place) -> bool:
        keys = [each for each in self._tables[place[0]].columns if each.key]
        return len(keys) == 1 and keys[0].name.lower() == place[1]

    def _depth(self, table: str, passed: frozenset[str]) -> int:
        if table not in self._depths:
            above = [
                owner[0]
                for column in self._tables[table].columns
                if (domain := self._domains.get((table, column.name.lower()))) is not None
                for owner in self._owners[domain]
                if owner[0] != table and (table, column.name.lower()) not in self._owners[domain]
            ]
            depths = [self._depth(each, passed | {table}) for each in above if each not in passed]
            # Few rows only of a table that others refer to, so that several of theirs belong to each.
            referred = any(owner[0] == table for owners in self._owners.values() for owner in owners)
            self._depths[table] = min(max(depths, default=-1 if referred else 0) + 1, len(ROWS) - 1)
        return self._depths[table]


def _around(text: str, sign: str) -> list[Value]:
    moment = as_date(text)
    if moment is None or moment.year > LAST_YEAR:
        return []
    return [as_text(moment + timedelta(days=days)) for days in _AROUND.get(sign, _AROUND["="])]


def _values(hint: Hint, column: Column) -> list[Value]:
    """Values of a column that meet what it is compared with, and some that don't."""
    value = hint.value
    if value is None:
        return [None]
    if column.kind == "date":
        text = str(int(value)) if isinstance(value, float) else value
        if found := re.fullmatch(r"((?:19|20|21)\d\d)(?:[-/]?(\d\d))?", text):
            months = [found[2]] if found[2] else ["05", "02", "08", "11"]
            return [f"{found[1]}-{month}-{day}" for month in months for day in ("10", "21")]
        return _around(text.replace("%", "-01")[:19], hint.sign)
    if column.kind == "number":
        try:
            number = float(value)
        except ValueError:
            return []
        step = 1 if column.scale == 0 or not column.size or column.size - column.scale > 1 else 0.01
        near = {">": (step, 2 * step), "<": (-step, -2 * step)}.get(hint.sign, (0,))
        found_numbers = [round(number + each, 6) for each in (*near, 0, -step)]
        return [int(each) if each.is_integer() else each for each in found_numbers]
    text = f"{value:g}" if isinstance(value, float) else value
    if hint.sign == "~":
        filled = text.replace("_", "x").strip("%").replace("%", " ")
        return [f"a {filled} b"] if text.startswith("%") else [filled + (" b" if text.endswith("%") else "")]
    return [text] if hint.sign == "=" else [text + "1", text]
