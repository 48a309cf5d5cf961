"""When two values of a field say the same: numbers with units, dates, ways of saying "not stated", and text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import msgspec

from medbench.scoring.extract.normalise import nfkc

_MAX_QUANTITY = 48

# Units of clinical documents and bills, after NFKC and in one case. Only these may stand behind a number: "3天前" or
# "120/80mmHg" is no number with a unit. No unit is ever converted; the second table holds spellings of one unit.
_UNIT_ATOMS = (
    "kpa mmhg cmh2o kcal mmol umol μmol nmol pmol mol meq miu uiu μiu mg ug μg ng pg kg ml dl ul μl fl mm cm nm μm um "
    "km min ms hz g l m s h d u iu ph bpm gy msv mgy mci mbq hu °c °f ° % ‰ rmb cny yuan "
    "years year months month weeks week days day hours hour times beats breaths minute "
    "次 分钟 分 秒 小时 时 天 日 周 个月 月 年 岁 级 度 期 型 类 元 万元 角 人民币 片 粒 支 袋 瓶 盒 丸 滴 包 "
    "个 枚 例 人 张 毫升 毫克 微克 克 千克 公斤 斤 厘米 毫米 米 升 摄氏度 毫米汞柱"
)
_ATOM = "|".join(re.escape(atom) for atom in sorted(_UNIT_ATOMS.split(), key=len, reverse=True))
_UNIT = rf"(?:{_ATOM})(?:\^?[2-3])?(?:[/·*](?:{_ATOM})(?:\^?[2-3])?){{0,2}}|/(?:{_ATOM})|per (?:{_ATOM})"
_SPELLINGS = (  # the first is the one that is kept
    ("°c", "摄氏度"),
    ("次/分", "次/分钟", "次/min", "/分", "/min", "bpm", "beats/min", "beats/minute", "breaths/min", "times/min"),
    ("mmhg", "毫米汞柱"),
    ("元", "人民币", "rmb", "cny", "yuan"),
    ("ml", "毫升"),
    ("l", "升"),
    ("mg", "毫克"),
    ("μg", "微克", "ug"),
    ("g", "克"),
    ("kg", "千克", "公斤"),
    ("cm", "厘米"),
    ("mm", "毫米"),
    ("m", "米"),
    ("μmol/l", "umol/l"),
    ("岁", "years", "year"),
    ("h", "小时"),
    ("min", "分钟"),
    ("mm^2", "mm2"),
    ("cm^2", "cm2"),
    ("kg/m^2", "kg/m2"),
)
_SAME_UNIT = {other: kept for kept, *others in _SPELLINGS for other in others}
_QUANTITY = re.compile(
    r"(?:[¥$]|人民币|rmb|cny)?\s?(?P<number>[+-]?(?:[0-9]{1,3}(?:,[0-9]{3}){1,6}|[0-9]{1,30})(?:\.[0-9]{0,30})?"
    r"(?:e[+-]?[0-9]{1,3})?|[ivx]{1,5})"
    rf"\s?(?P<power>[×x*]\s?10\^?[0-9]{{1,2}})?\s?(?P<unit>{_UNIT}|/l)?"
)
_POWER_OF_UNIT = re.compile(r"\^(?<![0-9]\^)")
_DIGIT = re.compile("[0-9]")
_GRADES = ("级", "度", "期", "型", "类", "°")  # what Roman numerals count
_ROMAN = {"i": 1, "v": 5, "x": 10}
_DATE = re.compile(
    r"(?<![0-9])([12][0-9]{3})\s?(?:年|[-/.])\s?([0-9]{1,2})\s?(?:(?:月|[-/.])\s?([0-9]{1,2})(?![0-9])\s?(?:日|号)?|月)"
)
_CIRCLED = {ord(circled): f"({number})" for number, circled in enumerate("①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳", 1)}
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_LOWERED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_NUMBERING = re.compile(r"(?:^|(?<=[\s;,。]))([0-9]{1,2})[.、)](?![0-9])|\(([0-9]{1,2})\)")
# White space and punctuation mean nothing, except between two digits and except signs (+, -, /, %, <, >, =, ±); a
# hyphen between letters joins a word.
_BETWEEN_DIGITS = re.compile(r"[\s,;:.。、]{1,20}(?=[0-9])")
_MEANINGLESS = re.compile(
    r"[\s.:;,。、!?\"'“”‘’「」『』【】()\[\]{}《》〈〉·…—_*`#|\\-](?:(?<=[.:;])(?:(?<![0-9][.:;])|(?![0-9]))|(?<=-)(?<=[^\W\d]-)(?=[^\W\d])|(?<![.:;-]))"
)


# Several numbers that only figures and signs join: a blood pressure, a range, a ratio, a bound.
_FIGURES = re.compile(rf"([<>=±+-]{{0,2}}[0-9][0-9./:<>=±+-]{{0,40}})(?:\s?({_UNIT}))?")


class Quantity(msgspec.Struct, frozen=True, gc=False):
    """A number with a unit.

    Attributes:
        number: As written; a power of ten belongs to the unit.
        unit: In one spelling; empty where none is written.
    """

    number: Decimal
    unit: str


@lru_cache(maxsize=16384)
def quantity(text: str) -> Quantity | None:
    """Read a whole text as one number, perhaps with a unit (`37℃`, `80次/分`, `1,234.50元`, `Ⅳ级`, `16.7×10^9/L`).

    Returns:
        None where the text is anything else, such as `120/80mmHg`, `3天前` or `约5`.
    """
    if len(text) > _MAX_QUANTITY:
        return None
    folded = _plain(text).strip().rstrip("。.;,").casefold()
    match = _QUANTITY.fullmatch(folded)
    if match is None:
        return None
    written = match["number"]
    unit = match["unit"] or ""
    if written[0] in _ROMAN:
        if unit and unit not in _GRADES:
            return None
        number = Decimal(_roman(written))
    else:
        try:
            number = Decimal(written.replace(",", ""))
        except InvalidOperation:  # pragma: no cover - the pattern admits decimal numbers only
            return None
    unit = (match["power"] or "").replace(" ", "").replace("x", "×").replace("*", "×").replace("^", "") + unit
    if not unit and folded[0] in "¥人rc":
        unit = "元"
    return Quantity(number, _SAME_UNIT.get(unit, unit))


def _roman(numeral: str) -> int:
    total = 0
    for here, following in zip(numeral, [*numeral[1:], ""], strict=True):
        value = _ROMAN[here]
        total += -value if value < _ROMAN.get(following, 0) else value
    return total


def _plain(text: str) -> str:
    """NFKC in which a raised number stays a power (`10⁹` is `10^9`, not 109) and ① is the number of a list."""
    if not text.isascii():
        text = _RAISED.sub(lambda match: "^" + match[0].translate(_LOWERED), text).translate(_CIRCLED)
    return nfkc(text)


@lru_cache(maxsize=4096)
def plain_text(text: str) -> str:
    """`text` as it is compared: dates in one form, without the numbers of a list, without meaningless punctuation."""
    text = _plain(text).casefold().replace("~", "-").strip()
    if "^" in text:
        text = _POWER_OF_UNIT.sub("", text)
    if _DIGIT.search(text):
        text = _unnumbered(_DATE.sub(_date, text))
        text = _BETWEEN_DIGITS.sub(_between_digits, text)
    return _MEANINGLESS.sub("", text)


def _between_digits(match: re.Match[str]) -> str:
    if match.start() == 0 or not match.string[match.start() - 1].isdigit():
        return match[0]
    return match[0] if match[0] in (".", ":") else ";"


def _date(match: re.Match[str]) -> str:
    year, month, day = match[1], int(match[2]), match[3]
    if not 1 <= month <= 12 or (day is not None and not 1 <= int(day) <= 31):
        return match[0]
    return f"{year}-{month:02d}" if day is None else f"{year}-{month:02d}-{int(day):02d}"


def _unnumbered(text: str) -> str:
    """Without the numbers of a list, which begins the text with 1 and goes on with 2, 3 … ."""
    expected = 1

    def drop(match: re.Match[str]) -> str:
        nonlocal expected
        number = int(match[1] or match[2])
        if number != expected or (expected == 1 and match.start() > 0):
            return match[0]
        expected += 1
        return ";"

    return _NUMBERING.sub(drop, text)


def same_value(given: str, expected: str, *, tolerance: Decimal, alike: Sequence[frozenset[str]]) -> bool:
    """Whether two values of a field say the same.

    Two numbers are equal within the tolerance where their units are the same or one has none; units aren't converted.
    Figures that belong together (`120/80mmHg`, `3-5天`) must be the same figures, under the same rule for units.
    Otherwise the texts must be equal without white space and punctuation, with dates in one form.

    Args:
        given: From the answer.
        expected: From the key.
        tolerance: Largest absolute difference of two equal numbers.
        alike: Sets of values, through `plain_text`, that mean the same: "not stated", "stated not to be there".
    """
    if given == expected:
        return True
    left, right = quantity(given), quantity(expected)
    if left is not None and right is not None:
        if left.unit and right.unit and left.unit != right.unit:
            return False
        return abs(left.number - right.number) <= tolerance
    if len(given) > 8 * len(expected) + 1024:
        return False  # nothing that is left out when texts are compared makes up so much
    plain_given, plain_expected = plain_text(given), plain_text(expected)
    if plain_given == plain_expected:
        return True
    if len(plain_given) <= _MAX_QUANTITY and len(plain_expected) <= _MAX_QUANTITY:
        left_figures, right_figures = _FIGURES.fullmatch(plain_given), _FIGURES.fullmatch(plain_expected)
        if left_figures and right_figures and left_figures[1] == right_figures[1]:
            units = {_SAME_UNIT.get(unit, unit) for unit in (left_figures[2], right_figures[2]) if unit}
            return len(units) <= 1
    return any(plain_given in values and plain_expected in values for values in alike)
