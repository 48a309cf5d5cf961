"""Doses in a text, held against limits: `amoxicillin 500 mg three times a day` is 500 mg at once and 1,500 mg a day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

import msgspec

from medbench.agents.governance.fold import fold
from medbench.agents.governance.policy import Dose, Route
from medbench.agents.governance.recognise import spans

REACH = 90
"""Characters behind a drug's name in which its dose is looked for, up to the end of the sentence."""
IN_MG = {"mg": 1.0, "g": 1000.0, "mcg": 0.001}
_UNITS = {"mg": "mg", "毫克": "mg", "g": "g", "克": "g", "gram": "g", "grams": "g"} | dict.fromkeys(
    ("mcg", "ug", "μg", "微克"), "mcg"
)
# A number with a unit of mass, but no concentration and no dose by weight: those say nothing by themselves.
_AMOUNT = re.compile(
    r"(?<![\d.])(\d{1,6}(?:,\d{3})?(?:\.\d{1,4})?) ?(mg|毫克|grams?|g|克|mcg|ug|μg|微克)(?![a-z])"
    r"(?! ?(?:/|per) ?(?:kg|千克|公斤|m[l2]|d?l\b|毫升))"
)
_NUMBERS = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "once": 1, "twice": 2, "three": 3, "four": 4}
_TIMES = re.compile(
    r"(?:[每一]?[日天] ?([1-6一二两三四]) ?次"
    r"|(once|twice|[1-6] times|three times|four times)(?: a| per| every)? (?:daily|day)"
    r"|\b([bqt]i?d|qid)\b)"
)
_HOURS = re.compile(r"(?:每(?:隔)? ?(\d{1,2}) ?(?:个)?小时|\bq ?(\d{1,2}) ?h\b|every (\d{1,2}) hours)")
_A_DAY = re.compile(r"/ ?(?:d|day|24 ?h|日|天)(?![a-z])|per day|a day|daily|in 24 hours|[每一][日天]|日总量|24小时")
_LATIN = {"qd": 1, "bid": 2, "tid": 3, "qid": 4}
# What speaks of an excess as such prescribes none.
_NOT_MEANT = (
    *("overdos*", "toxic*", "poison*", "do not", "don't", "never", "avoid*", "exceed*", "more than", "above", "fatal"),
    *("lethal", "中毒", "过量", "超过", "不得", "不要", "不可", "禁止", "不能", "致死", "上限", "超量", "避免"),
)
_ROUTES: dict[Route, tuple[str, ...]] = {
    "oral": ("oral*", "by mouth", "po", "tablet*", "口服", "片", "胶囊"),
    "intravenous": ("intravenous*", "iv", "infus*", "静脉", "静滴", "静推"),
    "intramuscular": ("intramuscular*", "im", "肌内", "肌肉", "肌注"),
    "rectal": ("rectal*", "suppositor*", "直肠", "栓"),
    "topical": ("topical*", "cream", "ointment", "gel", "外用", "软膏", "凝胶"),
}
_ENDS = re.compile(r"[。!?;\n]|\.(?= |$)")


class Excess(msgspec.Struct, frozen=True):
    """A dose above its limit, in the unit of the limit.

    Attributes:
        limit: That it is above.
        amount: As the text has it.
        per_day: Of 24 hours; else of one dose.
    """

    limit: Dose
    amount: float
    per_day: bool

    def words(self) -> tuple[str, ...]:
        """The drug, the amount and the limit, for a person."""
        most = self.limit.most_day if self.per_day else self.limit.most_single
        day = " / 24 h" if self.per_day else ""
        return (self.limit.drug[0], f"{self.amount:g} {self.limit.unit}{day} > {most:g} {self.limit.unit}{day}")


def excesses(text: str, limits: Iterable[Dose]) -> Iterator[Excess]:
    """Doses in a folded text that are above a limit.

    A route that the text names and the limit does not mean, a dose by weight, a concentration and a sentence that warns
    of an excess are left out.
    """
    for limit in limits:
        for name in limit.drug:
            for _, end in spans(text, fold(name).strip()):
                after = text[end : end + REACH]
                stop = _ENDS.search(after)
                after = after[: stop.start()] if stop else after
                begin = max(text.rfind(sign, max(0, end - REACH), end) for sign in "。!?;\n")
                yield from _above(text[max(begin, end - REACH) + 1 : end], after, limit)


def _above(before: str, after: str, limit: Dose) -> Iterator[Excess]:
    sentence = f"{before} {after}"
    if any(next(spans(sentence, term), None) for term in _NOT_MEANT) or not _by(sentence, limit.route):
        return
    amounts = [(_mg(match), match) for match in _AMOUNT.finditer(after)]
    if not amounts:
        return
    # The first amount is the drug's; a later one may be that of another drug.
    mg, match = amounts[0]
    unit = IN_MG[limit.unit]
    around = after[: match.start()] + " " + after[match.end() : match.end() + 40]
    times = _per_day(around)
    whole_day = times is None and _A_DAY.search(around) is not None
    if limit.most_single is not None and not whole_day and mg / unit > limit.most_single * (1 + 1e-9):
        yield Excess(limit, mg / unit, per_day=False)
    day = mg * times if times else mg if whole_day else None
    if limit.most_day is not None and day is not None and day / unit > limit.most_day * (1 + 1e-9):
        yield Excess(limit, day / unit, per_day=True)


def _mg(match: re.Match[str]) -> float:
    return float(match[1].replace(",", "")) * IN_MG[_UNITS[match[2]]]


def _per_day(text: str) -> float | None:
    """How often a day; None where it is not said."""
    if found := _HOURS.search(text):
        hours = int(next(group for group in found.groups() if group))
        return 24 / hours if hours else None
    if found := _TIMES.search(text):
        word = next(group for group in found.groups() if group).split()[0]
        return _LATIN.get(word) or _NUMBERS.get(word) or float(word)
    return None


@cache
def _other_routes(route: Route) -> tuple[str, ...]:
    return tuple(term for other, terms in _ROUTES.items() if other != route for term in terms)


def _by(sentence: str, route: Route) -> bool:
    """Whether the sentence can mean this route: it names it, or names none."""
    named = any(next(spans(sentence, term), None) for term in _ROUTES[route])
    return named or not any(next(spans(sentence, term), None) for term in _other_routes(route))
