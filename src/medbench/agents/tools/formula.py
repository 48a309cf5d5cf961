"""A formula with its source: inputs with units and plausible ranges, read strictly, and the value with its working."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from medbench.models.tools import ToolError

_QUANTITY = re.compile(r"([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(.*)")
_SIGNS = re.compile(r"[-_/–—‐]")
LONGEST_QUANTITY = 100
"""Characters of a number with its unit."""
_YES = frozenset({True, "yes", "true", "y", "present", "1", "是", "有"})
_NO = frozenset({False, "no", "false", "n", "absent", "0", "否", "无"})


@dataclass(frozen=True, slots=True)
class Number:
    """A measured input.

    Attributes:
        unit: In which the formula takes it.
        low: Below this a value is taken for a slip, and refused.
        high: Likewise, above.
        units: Other unit -> factor to `unit`.
        default: Taken where none is given; None: it must be given.
    """

    unit: str
    low: float
    high: float
    units: Mapping[str, float] = field(default_factory=dict)
    default: float | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """Something that is present or not; not mentioned counts as absent, and the result says so.

    Attributes:
        meaning: What has to be present.
        points: That it adds to a score.
    """

    meaning: str
    points: float = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words.

    Attributes:
        options: Word -> points, or any number that stands for it.
    """

    options: Mapping[str, float]


SEX = Choice({"male": 0, "female": 1})
_SEXES = {"m": "male", "f": "female", "man": "male", "woman": "female", "男": "male", "男性": "male", "女": "female"}
_SEXES |= {"女性": "female"}


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula.

    Attributes:
        title: What it gives.
        unit: Of the value; empty for a score.
        inputs: Name -> input.
        compute: Value from the inputs: numbers in their units, flags as points or 0, choices as their number.
        source: Publication that it is taken from.
        note: When not to use it, or which variant it is.
        digits: Decimals of the value.
        called: How texts call it beside its name, in Chinese and English, folded as `plain` does.
    """

    title: str
    unit: str
    inputs: Mapping[str, Number | Flag | Choice]
    compute: Callable[[Given], float]
    source: str
    note: str = ""
    digits: int = 2
    called: tuple[str, ...] = ()


class Given(dict[str, float]):
    """The inputs by name, also as attributes."""

    def __getattr__(self, name: str) -> float:
        return self[name]


def result(name: str, formula: Formula, values: Mapping[str, object]) -> dict[str, object]:
    """The value of a formula with all that it rests on.

    Raises:
        ToolError: `bad_values`: with everything that is missing, unknown, out of range or in an unknown unit.
    """
    problems = [f"{each} is not an input" for each in values if each not in formula.inputs]
    given = Given()
    absent = []
    for key, kind in formula.inputs.items():
        value = values.get(key)
        if value is None and isinstance(kind, Flag):
            absent.append(key)
        try:
            given[key] = _read(key, kind, value)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ToolError("bad_values", f"{'; '.join(problems)}. Inputs of {name}: {described(formula)}")
    try:
        value = formula.compute(given)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ToolError("bad_values", f"{name} has no value for these inputs: {error}") from error
    return {
        "formula": name,
        "value": round(value, formula.digits) if formula.digits else round(value),
        "unit": formula.unit,
        "of": formula.title,
        "inputs": {key: round(each, 6) for key, each in given.items() if key not in absent},
        **({"taken_as_absent": absent} if absent else {}),
        **({"note": formula.note} if formula.note else {}),
        "source": formula.source,
    }


def plain(text: str) -> str:
    """A text in the spelling in which names are looked for: small letters, signs between words as spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    return " ".join(_SIGNS.sub(" ", folded).split())


def named_in(text: str, formulas: Mapping[str, Formula]) -> list[str]:
    """The formulas that a text names, in its order; a name within a longer one of another formula does not count."""
    text = plain(text)
    spans: list[tuple[int, int, str]] = []
    for name, formula in formulas.items():
        for called in (plain(name), *formula.called):
            # Chinese has no spaces, so what stands beside a name says nothing there.
            pattern = rf"(?<![a-z0-9]){re.escape(called)}(?![a-z0-9])"
            spans += [(found.start(), found.end(), name) for found in re.finditer(pattern, text)]
    own = [
        (start, name)
        for start, end, name in spans
        if not any(a <= start and end <= b and b - a > end - start for a, b, other in spans if other != name)
    ]
    return list(dict.fromkeys(name for _, name in sorted(own)))


def described(formula: Formula) -> str:
    """Its inputs in one line: name, unit or words."""
    return ", ".join(f"{name} ({_kind(each)})" for name, each in formula.inputs.items())


def _kind(kind: Number | Flag | Choice) -> str:
    match kind:
        case Number():
            others = "".join(f" or {unit}" for unit in kind.units)
            default = "" if kind.default is None else f", default {kind.default:g}"
            return f"{kind.unit}{others}{default}"
        case Choice():
            return "|".join(kind.options)
        case Flag():
            return f"yes|no: {kind.meaning}"


def _read(name: str, kind: Number | Flag | Choice, value: object) -> float:
    """An input as a number.

    Raises:
        ValueError: It can't be used; the text says why.
    """
    match kind:
        case Flag():
            if value is None:
                return 0.0
            word = value.strip().lower() if isinstance(value, str) else value
            if word in _YES:
                return kind.points
            if word in _NO:
                return 0.0
            raise ValueError(f"{name} must be yes or no")
        case Choice():
            word = str(value).strip().lower()
            word = _SEXES.get(word, word) if kind is SEX else word
            if word not in kind.options:
                raise ValueError(f"{name} must be one of {', '.join(kind.options)}")
            return kind.options[word]
        case Number():
            return _number(name, kind, value)


def _number(name: str, kind: Number, value: object) -> float:
    if value is None:
        if kind.default is None:
            raise ValueError(f"{name} is missing ({kind.unit})")
        return kind.default
    written = "" if isinstance(value, bool) else str(value).strip()
    found = _QUANTITY.fullmatch(written) if len(written) <= LONGEST_QUANTITY else None
    if found is None:
        raise ValueError(f"{name} must be a number in {kind.unit}")
    number, given = float(found[1]), found[2].strip()
    unit = _unit(given)
    if unit and unit != _unit(kind.unit):
        factors = {_unit(each): factor for each, factor in kind.units.items()}
        if unit not in factors:
            raise ValueError(f"{name} can't be in {given}: {_kind(kind)}")
        number *= factors[unit]
    if not kind.low <= number <= kind.high:
        raise ValueError(f"{name} = {number:g} {kind.unit} is not plausible ({kind.low:g} to {kind.high:g})")
    return number


def _unit(unit: str) -> str:
    return unit.lower().replace(" ", "").replace("μ", "u").replace("µ", "u").replace("²", "2").replace("^2", "2")
