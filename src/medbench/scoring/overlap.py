"""How far a report's words overlap with those of a reference: BLEU and ROUGE-L, secondary figures, never a score."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from medbench.scoring.extract.normalise import nfkc

LONGEST = 20_000
"""Characters of each text that are read; two texts of that length take less than half a second."""
ORDER = 4
_CHINESE = re.compile("([\u2e80-\u303f\u3100-\u9fff\uf900-\ufaff\ufe10-\ufe4f\uff00-\uffef\U00020000-\U0003ffff])")
_SIGN = re.compile(r"([!-&(-+/:-@\[-`{-~])")
_POINT_BEHIND = re.compile(r"([^0-9])([.,])")
_POINT_BEFORE = re.compile(r"([.,])([^0-9])")
_DASH = re.compile(r"([0-9])(-)")


def text_overlap(answer: str, reference: str) -> tuple[tuple[str, float], ...]:
    """`bleu` and `rouge_l` of an answer, each in [0, 1].

    Source: Papineni et al. (2002), "BLEU", for one sentence: up to 4-grams, of short texts as many orders as there are,
    an order without a match smoothed exponentially (Chen and Cherry, 2014, method 3); Lin (2004), "ROUGE", F1 of the
    longest common subsequence.

    Args:
        answer: Without reasoning; empty: both are 0.
        reference: Likewise.
    """
    given, wanted = tokens(answer), tokens(reference)
    return ("bleu", _bleu(given, wanted)), ("rouge_l", _rouge_l(given, wanted))


def tokens(text: str) -> list[str]:
    """Every Chinese character, word and sign of the first `LONGEST` characters after NFKC; points stay within numbers.

    As sacrebleu's tokenizers do it: `zh` for Chinese, `13a` for Latin letters.
    """
    text = " " + _CHINESE.sub(r" \1 ", nfkc(text[:LONGEST])) + " "
    text = _POINT_BEHIND.sub(r"\1 \2 ", _SIGN.sub(r" \1 ", text))
    return _DASH.sub(r"\1 \2 ", _POINT_BEFORE.sub(r" \1 \2", text)).split()


def _bleu(given: Sequence[str], wanted: Sequence[str]) -> float:
    logs = []
    smoothing = 1.0
    found = False
    for order in range(1, min(ORDER, len(given)) + 1):
        total = len(given) - order + 1
        shared = (_grams(given, order) & _grams(wanted, order)).total()
        found |= shared > 0
        if not shared:
            smoothing *= 2
        logs.append(math.log((shared or 1 / smoothing) / total))
    if not found:
        return 0.0
    brevity = min(0.0, 1 - len(wanted) / len(given))
    return min(1.0, math.exp(brevity + sum(logs) / len(logs)))


def _grams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def _rouge_l(given: Sequence[str], wanted: Sequence[str]) -> float:
    if not given or not wanted:
        return 0.0
    return 2 * common_subsequence(given, wanted) / (len(given) + len(wanted))


def common_subsequence(given: Sequence[str], wanted: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    A few operations on numbers of len(wanted) bits for each element of `given`. Source: Hyyrö (2004), "Bit-parallel
    LCS-length computation revisited".
    """
    places: dict[str, int] = {}
    for index, word in enumerate(wanted):
        places[word] = places.get(word, 0) | 1 << index
    every = row = (1 << len(wanted)) - 1
    for word in given:
        same = row & places.get(word, 0)
        row = (row + same | row - same) & every
    return len(wanted) - row.bit_count()
