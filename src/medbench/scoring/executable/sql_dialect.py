"""SQL of other dialects as SQLite runs it, and what a query says of the values that it looks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError, TokenError, UnsupportedError
from sqlglot.transforms import eliminate_join_marks

from medbench.scoring.executable.sql_functions import as_date

DIALECTS = ("oracle", "mysql", "postgres", "", "sqlite")
"""In the order in which they are tried; the empty one is standard SQL."""
LONGEST_SQL = 20_000
"""Characters."""
MOST_STATEMENTS = 5

_FENCE = re.compile(r"```[ \t]*(\w*)[^\n]*\n(.*?)(?:```|\Z)", re.S)
_VERB = re.compile(r"^[ \t]*(?:WITH|SELECT|INSERT|UPDATE|DELETE|MERGE|BEGIN|DECLARE|CREATE|ALTER|DROP)\b", re.I | re.M)


_Node = TypeVar("_Node", bound=exp.Expr)


class _Target(SQLite):
    """SQLite with names in backquotes: a name in double quotes that is no column would pass for a text."""

    class Tokenizer(SQLite.Tokenizer):
        IDENTIFIERS = ["`"]  # noqa: RUF012 - as the class it extends has it


class Untranslatable(Exception):
    """A statement can't be run as it is, which says nothing about its being right.

    Attributes:
        code: `no_sql`, `not_parsed`, `writes`, `not_a_query`, `not_transpiled` or `too_long`.
        detail: What the parser said.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Hint(NamedTuple):
    """A value that a query compares a column with.

    Attributes:
        table: Of the column; empty where the query does not say.
        column: Its name, in lower case; empty for what is counted or summed over rows.
        sign: How it is compared.
        value: With what; None: it is to be empty.
    """

    table: str
    column: str
    sign: Literal["=", "<", ">", "~"]
    value: str | float | None


Place = tuple[str, str]
"""Table, in lower case and empty where it is not said, and column."""


class Statement(NamedTuple):
    """A query as parsed, in its own dialect, and as SQLite runs it."""

    tree: exp.Query
    sqlite: str


def sql_of(answer: str) -> str:
    """The SQL in an answer: its first code fence with a statement, else from the first statement on.

    Raises:
        Untranslatable: There is none, or too much.
    """
    fences = [found[2] for found in _FENCE.finditer(answer) if _VERB.search(found[2])]
    text = fences[0] if fences else answer
    start = _VERB.search(text)
    if start is None:
        raise Untranslatable("no_sql")
    text = text[start.start() :]
    if not fences:
        # Words behind the statement: what follows its last semicolon, or an empty line and then no SQL.
        text = re.split(r"\n\s*\n(?=\s*(?:[\u4e00-\u9fff#*>\d]|[A-Z][a-z]))", text)[0]
        if ";" in text and not _VERB.search(text.rpartition(";")[2]):
            text = text.rpartition(";")[0]
    if len(text) > LONGEST_SQL:
        raise Untranslatable("too_long")
    return text


def translate(sql: str, dialect: str, now: str) -> list[Statement]:
    """Parse statements of a dialect and write them for SQLite.

    Args:
        sql: One statement or several.
        dialect: One of `DIALECTS`.
        now: What the current time is.

    Raises:
        Untranslatable: Why it can't be done.
    """
    try:
        trees = [tree for tree in sqlglot.parse(sql, read=dialect) if tree is not None]
    except RecursionError:
        raise Untranslatable("too_long", "nested") from None
    except (ParseError, TokenError, ValueError) as error:
        raise Untranslatable("not_parsed", _brief(error)) from None
    if not trees:
        raise Untranslatable("no_sql")
    if len(trees) > MOST_STATEMENTS:
        raise Untranslatable("too_long")
    statements = []
    for tree in trees:
        if isinstance(tree, exp.DML | exp.DDL | exp.Merge | exp.Alter | exp.Drop) and not isinstance(tree, exp.Query):
            raise Untranslatable("writes", type(tree).__name__.upper())
        if not isinstance(tree, exp.Query) or tree.find(exp.DML, exp.Into, exp.Command):
            raise Untranslatable("not_a_query", type(tree).__name__.upper())
        statements.append(Statement(tree, write(tree, dialect, now)))
    return statements


def write(tree: exp.Query, dialect: str, now: str) -> str:
    """A query of a dialect for SQLite.

    Raises:
        Untranslatable: It uses what can't be translated.
    """
    try:
        tree = tree.copy()
        if tree.find(exp.Placeholder, exp.Parameter, exp.SessionParameter):
            raise Untranslatable("not_transpiled", "bind variable")
        if any(column.args.get("join_mark") for column in tree.find_all(exp.Column)):
            eliminate_join_marks(tree)
        for select in tree.find_all(exp.Select):
            _prepare(select)
        # No row number of the result, and no hierarchy, is there in SQLite: not that such a column is wrong.
        if tree.find(exp.Connect) or any(each.name.upper() == "ROWNUM" for each in tree.find_all(exp.Column)):
            raise Untranslatable("not_transpiled", "ROWNUM, CONNECT BY")
        for node in reversed(list(tree.walk())):
            written = _rewritten(node, dialect, now)
            if written is not node:
                node.replace(written)
        return tree.sql(dialect=_Target, unsupported_level=ErrorLevel.RAISE)
    except RecursionError:
        raise Untranslatable("too_long", "nested") from None
    except (SqlglotError, ValueError, KeyError, AssertionError) as error:
        raise Untranslatable("not_transpiled", _brief(error)) from None


def _prepare(select: exp.Select) -> None:
    """Take away what has no bearing on the rows, and turn `ROWNUM <= n` into a limit where it is one."""
    for name in ("hint", "locks"):
        select.set(name, None)
    where = select.args.get("where")
    if where is None:
        return
    for condition in list(where.find_all(exp.LT, exp.LTE, exp.EQ)):
        left, right = condition.this, condition.expression
        if not (isinstance(left, exp.Column) and left.name.upper() == "ROWNUM" and isinstance(right, exp.Literal)):
            continue
        limited = any(select.args.get(name) for name in ("group", "order", "distinct", "having", "limit"))
        if condition.find_ancestor(exp.Select) is not select or limited or condition.find_ancestor(exp.Or, exp.Not):
            raise Untranslatable("not_transpiled", "ROWNUM")
        count = int(right.this) - isinstance(condition, exp.LT)
        condition.replace(exp.true())
        select.limit(max(count, 0), copy=False)


def _call(name: str, *arguments: exp.Expr | str | None) -> exp.Anonymous:
    made = [exp.Literal.string(each) if isinstance(each, str) else each for each in arguments if each is not None]
    return exp.Anonymous(this=name, expressions=made)


def _unit(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    return unit.name if unit is not None else "DAY"


def _rewritten(node: exp.Expr, dialect: str, now: str) -> exp.Expr:
    """One node as SQLite has it; its children are so already."""
    match node:
        case exp.Table():
            node.set("db", None)
            node.set("catalog", None)
            return node
        case exp.CurrentDate():
            return exp.Literal.string(now[:10])
        case exp.CurrentTimestamp() | exp.CurrentDatetime() | exp.Localtimestamp() | exp.Systimestamp():
            return exp.Literal.string(now)
        case exp.Literal() if node.is_string and node.name.lower() == "now":
            return exp.Literal.string(now)
        case exp.GroupConcat():
            # An order within an aggregate is more than SQLite has; several arguments go with no DISTINCT.
            inner = node.this.this if isinstance(node.this, exp.Order) else node.this
            separator = None if isinstance(inner, exp.Distinct) else node.args.get("separator")
            return exp.GroupConcat(this=inner, separator=separator)
    if dialect == "sqlite":
        return node
    match node:
        case exp.Add() | exp.Sub():
            return _sum(node)
        case exp.DateAdd() | exp.DateSub() | exp.TimestampAdd() | exp.TimestampSub() | exp.DatetimeAdd():
            sign = -1 if isinstance(node, exp.DateSub | exp.TimestampSub) else 1
            return _shifted(node.this, node.expression, _unit(node), sign)
        case exp.StrToDate() | exp.StrToTime() | exp.TsOrDsToTimestamp() | exp.TimeStrToTime() | exp.DateStrToDate():
            return _call("x_to_date", node.this, node.args.get("format"))
        case exp.TsOrDsToDate() | exp.Date():
            return _call("x_day", node.this)
        case exp.Cast() if node.to.is_type("date"):
            return _call("x_day", _call("x_to_date", node.this))
        case exp.Cast() if node.to.is_type("timestamp", "datetime", "timestamptz", "timestampntz"):
            return _call("x_to_date", node.this)
        case exp.ToChar():
            return _call("x_to_char", node.this, node.args.get("format"))
        case exp.TimeToStr():
            return _call("x_strftime", node.this, node.args["format"])
        case exp.DateTrunc() | exp.TimestampTrunc():
            return _call("x_trunc", node.this, node.args.get("unit") and node.args["unit"].name)
        case exp.Trunc():
            return _call("x_trunc", node.this, node.args.get("decimals"))
        case exp.Extract():
            return _call("x_part", node.this.name, node.expression)
        case exp.Year() | exp.Month() | exp.Day() | exp.Quarter():
            return _call("x_part", type(node).__name__, node.this)
        case exp.DateDiff() | exp.TimestampDiff():
            return _call("x_difference", node.this, node.expression, _unit(node))
        case exp.AddMonths():
            return _call("add_months", node.this, node.expression)
        case exp.MonthsBetween():
            return _call("months_between", node.this, node.expression)
        case exp.LastDay():
            return _call("last_day", node.this)
        case exp.RegexpLike() | exp.RegexpILike():
            flag = "i" if isinstance(node, exp.RegexpILike) else node.args.get("flag")
            return _call("x_regexp_like", node.this, node.expression, flag)
        case exp.RegexpExtract():
            return _call("x_regexp_substr", node.this, node.expression)
        case exp.RegexpReplace():
            return _call("x_regexp_replace", node.this, node.expression, node.args.get("replacement"))
        case exp.ToNumber():
            return exp.cast(node.this, "REAL")
        case exp.Anonymous() if node.name.upper() == "TRUNC":
            return _call("x_trunc", *node.expressions)
        case exp.Anonymous() if node.name.upper() == "REGEXP_SUBSTR":
            return _call("x_regexp_substr", *node.expressions[:2])
        case exp.Anonymous() if node.name.upper() in ("SYSTIMESTAMP", "NOW"):
            return exp.Literal.string(now)
        case exp.Window() if node.this.name.upper() == "RATIO_TO_REPORT":
            part = node.this.expressions[0]
            node.set("this", exp.Sum(this=part.copy()))
            return exp.Div(this=exp.Mul(this=exp.Literal.number("1.0"), expression=part), expression=node)
        case exp.Dot() if node.this.name.upper() == "DBMS_LOB":
            return _lob(node.expression)
        case exp.Pad():
            name = "lpad" if node.args.get("is_left") else "rpad"
            return _call(name, node.this, node.expression, node.args.get("fill_pattern"))
    return node


def _lob(call: exp.Expr) -> exp.Expr:
    """A function of Oracle's package for long texts, which are texts here."""
    match call.name.upper() if isinstance(call, exp.Anonymous) else type(call).__name__.upper():
        case "INSTR":
            return _call("instr", *call.expressions[:2])
        case "STRPOSITION":
            return call
        case "GETLENGTH":
            return _call("length", call.expressions[0])
        case _:
            raise UnsupportedError(f"DBMS_LOB.{call.name}")


def _sum(node: exp.Add | exp.Sub) -> exp.Expr:
    sign = -1 if isinstance(node, exp.Sub) else 1
    for moment, interval in ((node.this, node.expression), (node.expression, node.this)):
        if isinstance(interval, exp.Interval):
            return _shifted(moment, interval.this, _unit(interval), sign)
    return _call("x_minus" if sign < 0 else "x_plus", node.this, node.expression)


def _shifted(moment: exp.Expr, count: exp.Expr, unit: str, sign: int) -> exp.Expr:
    if isinstance(count, exp.Interval):
        count, unit = count.this, _unit(count)
    if isinstance(count, exp.Literal) and count.is_string:
        number, _, named = count.name.strip().partition(" ")
        count, unit = exp.Literal.number(number), named or unit
    return _call("x_shift", moment, exp.Mul(this=exp.Paren(this=count), expression=exp.Literal.number(sign)), unit)


def with_order_keys(tree: exp.Query) -> exp.Select | None:
    """An ordered query with what it is ordered by behind its columns; None where it has no place for more columns."""
    if not isinstance(tree, exp.Select):
        return None
    tree = tree.copy()
    selected = list(tree.selects)
    aliases = {each.alias.lower(): each.this for each in selected if isinstance(each, exp.Alias)}
    for ordered in tree.args["order"].expressions:
        key = ordered.this
        if isinstance(key, exp.Literal) and not key.is_string:
            if any(each.is_star for each in selected) or not 0 < int(key.this) <= len(selected):
                return None
            key = selected[int(key.this) - 1].unalias()
        elif isinstance(key, exp.Column) and not key.table:
            key = aliases.get(key.name.lower(), key)
        tree.select(key.copy(), copy=False)
    return tree


def hints(tree: exp.Query) -> Iterator[Hint]:
    """What the columns of a query are compared with."""
    tables = {each.alias_or_name.lower(): each.name.lower() for each in tree.find_all(exp.Table)}
    for node in tree.find_all(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Like, exp.ILike):
        sign: Literal["=", "<", ">", "~"] = "="
        if isinstance(node, exp.GT | exp.GTE):
            sign = ">"
        elif isinstance(node, exp.LT | exp.LTE):
            sign = "<"
        elif isinstance(node, exp.Like | exp.ILike):
            sign = "~"
        yield from _compared(node, sign, tables)
    for node in tree.find_all(exp.Between):
        yield from _compared(exp.GT(this=node.this.copy(), expression=node.args["low"].copy()), ">", tables)
        yield from _compared(exp.LT(this=node.this.copy(), expression=node.args["high"].copy()), "<", tables)
    for node in tree.find_all(exp.Is):
        if isinstance(node.this, exp.Column) and not isinstance(node.parent, exp.Not):
            yield Hint(tables.get(node.this.table.lower(), ""), node.this.name.lower(), "=", None)
    for node in tree.find_all(exp.RegexpLike, exp.RegexpILike):
        for column in _within(node.this, exp.Column):
            for word in re.split(r"[|()]", node.expression.name):
                if word and not re.search(r"[\\^$.*+?\[\]{}]", word):
                    yield Hint(tables.get(column.table.lower(), ""), column.name.lower(), "~", word)


def _compared(node: exp.Expr, sign: Literal["=", "<", ">", "~"], tables: dict[str, str]) -> Iterator[Hint]:
    columns = list(_within(node, exp.Column))
    # The right side first: on the left a literal is rather a format.
    literals = [literal for side in reversed(list(node.iter_expressions())) for literal in _within(side, exp.Literal)]
    counted = any(True for _ in _within(node, exp.AggFunc))
    places = [("", "")] if counted else [(tables.get(each.table.lower(), ""), each.name.lower()) for each in columns]
    for table, name in places:
        for literal in literals:
            yield Hint(table, name, sign, literal.name if literal.is_string else float(literal.this))


def joins(tree: exp.Query) -> Iterator[tuple[Place, Place]]:
    """Pairs of columns that a query sets equal."""
    tables = {each.alias_or_name.lower(): each.name.lower() for each in tree.find_all(exp.Table)}

    def place(column: exp.Column) -> Place:
        return tables.get(column.table.lower(), ""), column.name.lower()

    for node in tree.find_all(exp.EQ, exp.In):
        other = node.args.get("query") if isinstance(node, exp.In) else node.expression
        if isinstance(other, exp.Subquery):
            other = other.this
        if isinstance(other, exp.Select) and len(other.expressions) == 1:
            other = other.expressions[0].unalias()
        if isinstance(node.this, exp.Column) and isinstance(other, exp.Column):
            yield place(node.this), place(other)
    for join in tree.find_all(exp.Join):
        for column in join.args.get("using") or ():
            yield ("", column.name.lower()), ("", column.name.lower())


def dates_of(text: str) -> list[str]:
    """Dates that are written in a text, in its order."""
    return [found for found in re.findall(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)", text) if as_date(found)]


def _within(node: exp.Expr, kind: type[_Node]) -> Iterator[_Node]:
    """Nodes of a kind below a node, but not those of queries within."""
    return (each for each in node.walk(prune=lambda each: isinstance(each, exp.Query)) if isinstance(each, kind))


def _brief(error: Exception) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().partition("\n")[0]
    return text[:200] or type(error).__name__
