"""Functions that Oracle, MySQL and PostgreSQL have and SQLite lacks, over dates that are text.

A date is `YYYY-MM-DD` at midnight and `YYYY-MM-DD HH:MM:SS` at other times, so that text compares as dates do and a
date equals the literal that a query writes.
"""

from __future__ import annotations

import calendar
import re
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta

from medbench.scoring.extract.normalise import plain_number

Value = str | int | float | None

_DATE = re.compile(r"\s*(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?\s*Z?")
# Oracle's format elements, longest first, and what they are in `strftime`.
_ELEMENTS = {
    "YYYY": "%Y",
    "HH24": "%H",
    "HH12": "%I",
    "MONTH": "%B",
    "DAY": "%A",
    "DDD": "%j",
    "MON": "%b",
    "YY": "%y",
    "MM": "%m",
    "DD": "%d",
    "DY": "%a",
    "HH": "%I",
    "MI": "%M",
    "SS": "%S",
    "IW": "%V",
    "AM": "%p",
    "PM": "%p",
}
_ELEMENT = re.compile("|".join(_ELEMENTS) + r"|Q|D|\"[^\"]*\"", re.I)
_UNITS = {"DAY": 86400.0, "HOUR": 3600.0, "MINUTE": 60.0, "SECOND": 1.0, "WEEK": 7 * 86400.0}


def as_date(value: Value) -> datetime | None:
    """The date that a text is; None where it is none."""
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - Oracle's DATE has no zone
    except ValueError:
        return None


def as_text(moment: datetime) -> str:
    """A date as it is kept."""
    midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    return moment.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M:%S")


def _number(value: Value) -> float | int:
    if isinstance(value, str):
        return plain_number(value) if value.strip() else 0
    return value or 0


def _plus(left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    moment, days = (as_date(left), right) if as_date(left) else (as_date(right), left)
    return as_text(moment + timedelta(days=_number(days))) if moment else _number(left) + _number(right)


def _minus(left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    first, second = as_date(left), as_date(right)
    if first and second:
        return (first - second).total_seconds() / 86400
    return as_text(first - timedelta(days=_number(right))) if first else _number(left) - _number(right)


def _shift(value: Value, count: Value, unit: str) -> Value:
    """A date moved by an interval."""
    moment = as_date(value)
    if moment is None or count is None:
        return None
    unit = unit.upper().rstrip("S")
    if unit in _UNITS:
        return as_text(moment + timedelta(seconds=_UNITS[unit] * _number(count)))
    months = {"MONTH": 1, "YEAR": 12, "QUARTER": 3}[unit]
    return _add_months(value, months * _number(count))


def _add_months(value: Value, count: Value) -> Value:
    moment = as_date(value)
    if moment is None or count is None:
        return None
    month = moment.year * 12 + moment.month - 1 + int(_number(count))
    year, month = divmod(month, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return as_text(moment.replace(year=year, month=month + 1, day=min(moment.day, last)))


def _months_between(left: Value, right: Value) -> Value:
    first, second = as_date(left), as_date(right)
    if first is None or second is None:
        return None
    return (first.year - second.year) * 12 + first.month - second.month + (first.day - second.day) / 31


def _difference(left: Value, right: Value, unit: str) -> Value:
    """Whole units from one date to another (MySQL's `TIMESTAMPDIFF`); days by the calendar."""
    first, second = as_date(left), as_date(right)
    if first is None or second is None:
        return None
    unit = unit.upper().rstrip("S")
    if unit == "DAY":
        return (first.date() - second.date()).days
    if unit in _UNITS:
        return int((first - second).total_seconds() / _UNITS[unit])
    months = _months_between(left, right)
    return int(_number(months) / {"MONTH": 1, "YEAR": 12, "QUARTER": 3}[unit])


def _to_date(value: Value, form: str = "") -> Value:
    if value is None:
        return None
    if moment := as_date(value):
        return as_text(moment)
    return as_text(datetime.strptime(str(value).strip(), form))  # noqa: DTZ007 - as above


def _day(value: Value) -> Value:
    moment = as_date(value)
    return as_text(moment.replace(hour=0, minute=0, second=0)) if moment else value


def _strftime(value: Value, form: str) -> Value:
    moment = as_date(value)
    return moment.strftime(form) if moment else None


def _to_char(value: Value, form: str = "") -> Value:
    if value is None:
        return None
    moment = as_date(value)
    if moment:

        def element(found: re.Match[str]) -> str:
            word = found[0].upper()
            if word == "Q":
                return str((moment.month + 2) // 3)
            if word == "D":
                return str(moment.isoweekday() % 7 + 1)
            return found[0].strip('"') if word.startswith('"') else moment.strftime(_ELEMENTS[word])

        return _ELEMENT.sub(element, form.upper().replace("FM", "")) if form else as_text(moment)
    if not form:
        return str(value)
    places = len(re.sub(r"[^90]", "", form.partition(".")[2]))
    return f"{_number(value):.{places}f}"


def _trunc(value: Value, unit: Value = None) -> Value:
    moment = as_date(value)
    if moment is None:
        if value is None:
            return None
        scale = 10.0 ** int(_number(unit))
        return float(int(_number(value) * scale) / scale)
    moment = moment.replace(hour=0, minute=0, second=0)
    match str(unit or "DD").upper().rstrip("S"):
        case "MM" | "MON" | "MONTH":
            moment = moment.replace(day=1)
        case "YYYY" | "YEAR" | "YY" | "Y":
            moment = moment.replace(month=1, day=1)
        case "Q" | "QUARTER":
            moment = moment.replace(month=(moment.month - 1) // 3 * 3 + 1, day=1)
        case "IW" | "WEEK":
            moment -= timedelta(days=moment.weekday())
    return as_text(moment)


def _last_day(value: Value) -> Value:
    moment = as_date(value)
    if moment is None:
        return None
    return as_text(moment.replace(day=calendar.monthrange(moment.year, moment.month)[1]))


def _part(unit: str, value: Value) -> Value:
    moment = as_date(value)
    if moment is None:
        return None
    if unit.upper() == "QUARTER":
        return (moment.month + 2) // 3
    return int(getattr(moment, unit.lower()))


def _flags(flags: str) -> re.RegexFlag:
    return re.IGNORECASE if "i" in flags else re.RegexFlag(0)


def _regexp_like(value: Value, pattern: Value, flags: str = "") -> Value:
    if value is None or pattern is None:
        return None
    return bool(re.search(_posix(str(pattern)), str(value), _flags(flags)))


def _regexp_substr(value: Value, pattern: Value) -> Value:
    found = re.search(_posix(str(pattern)), str(value)) if value is not None else None
    return found[0] if found else None


def _regexp_replace(value: Value, pattern: Value, new: Value = "") -> Value:
    return None if value is None else re.sub(_posix(str(pattern)), str(new or ""), str(value))


def _posix(pattern: str) -> str:
    """A pattern with POSIX classes as Python writes it."""
    for name, characters in {"digit": r"\d", "alpha": "a-zA-Z", "alnum": "a-zA-Z0-9", "space": r"\s"}.items():
        pattern = pattern.replace(f"[:{name}:]", characters)
    return pattern


def _pad(value: Value, width: Value, filling: Value = " ", *, left: bool) -> Value:
    if value is None or width is None:
        return None
    size = min(int(_number(width)), 4_000)  # as long as a VARCHAR2 may be
    text, more = str(value)[:size], str(filling)
    padding = (more * size)[: size - len(text)]
    return padding + text if left else text + padding


def _lpad(value: Value, width: Value, filling: Value = " ") -> Value:
    return _pad(value, width, filling, left=True)


def _rpad(value: Value, width: Value, filling: Value = " ") -> Value:
    return _pad(value, width, filling, left=False)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "x_plus": _plus,
    "x_minus": _minus,
    "x_shift": _shift,
    "x_difference": _difference,
    "x_to_date": _to_date,
    "x_day": _day,
    "x_strftime": _strftime,
    "x_to_char": _to_char,
    "x_trunc": _trunc,
    "x_part": _part,
    "x_regexp_like": _regexp_like,
    "x_regexp_substr": _regexp_substr,
    "x_regexp_replace": _regexp_replace,
    "add_months": _add_months,
    "months_between": _months_between,
    "last_day": _last_day,
    "lpad": _lpad,
    "rpad": _rpad,
}
"""Names as the translated SQL calls them."""


def register(connection: sqlite3.Connection) -> None:
    """Make the functions known to a connection."""
    for name, function in FUNCTIONS.items():
        connection.create_function(name, -1, function, deterministic=True)
