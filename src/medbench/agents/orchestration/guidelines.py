"""Retrieval over guideline files given locally: passages, ranked by BM25, quoted with file and line."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from medbench.agents.orchestration.events import Passage
from medbench.errors import InputError, Problem
from medbench.text import say

SUFFIXES = (".md", ".txt")
LONGEST_PASSAGE = 600
K1, B = 1.5, 0.75
_HANZI_RUN = re.compile(r"[\u3400-\u9fff]+")
_WORD = re.compile(r"[a-z0-9][a-z0-9.%+/-]*[a-z0-9%+]|[a-z0-9]")


class Guidelines:
    """Guideline files, cut into passages and indexed.

    Rank: Okapi BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009), k1 = 1.5, b = 0.75, with
    idf = ln(1 + (N − n + ½) / (n + ½)). Words are what stands between blanks, in lower case; Chinese is read as pairs
    of neighbouring characters.

    Args:
        folder: Its `.md` and `.txt` files, also in folders below.

    Raises:
        InputError: There is no such folder, no such file in it, or one that is no UTF-8.
    """

    def __init__(self, folder: Path) -> None:
        files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
        if not files:
            raise InputError(
                Problem(message=say("agent_file.no_guidelines"), file=str(folder), field="guidelines.folder")
            )
        self.passages: list[Passage] = []
        digest = hashlib.sha256()
        problems = []
        for path in files:
            name = path.relative_to(folder).as_posix()
            try:
                content = path.read_bytes()
                text = content.decode("utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                problems.append(Problem(message=say("agent_file.bad_guideline", reason=error), file=str(path)))
                continue
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
            self.passages += (Passage(name, line, passage) for line, passage in cut(text))
        if problems:
            raise InputError(*problems)
        self.revision = digest.hexdigest()
        self._terms = [Counter(terms(passage.text)) for passage in self.passages]
        self._lengths = [sum(each.values()) for each in self._terms]
        self._mean = sum(self._lengths) / max(len(self._lengths), 1) or 1.0
        self._holding = Counter(term for each in self._terms for term in each)

    def search(self, query: str, most: int) -> list[Passage]:
        """The passages that fit a query best, best first; none that shares no term with it."""
        asked = set(terms(query))
        ranked = sorted(((self._score(asked, place), -place) for place in range(len(self.passages))), reverse=True)
        return [
            Passage(each.file, each.line, each.text, round(score, 3))
            for score, place in ranked[:most]
            if score > 0.0 and (each := self.passages[-place])
        ]

    def _score(self, asked: set[str], place: int) -> float:
        here = self._terms[place]
        norm = K1 * (1 - B + B * self._lengths[place] / self._mean)
        total = len(self.passages)
        score = 0.0
        for term in asked & here.keys():
            holding = self._holding[term]
            idf = math.log(1 + (total - holding + 0.5) / (holding + 0.5))
            score += idf * here[term] * (K1 + 1) / (here[term] + norm)
        return score


def terms(text: str) -> list[str]:
    """Words in lower case, and pairs of neighbouring Chinese characters (a lone one as it is)."""
    text = text.lower()
    found = _WORD.findall(text)
    for run in _HANZI_RUN.findall(text):
        found += [run] if len(run) == 1 else [run[place : place + 2] for place in range(len(run) - 1)]
    return found


def cut(text: str) -> Iterator[tuple[int, str]]:
    """Passages with their first line: paragraphs with the heading above them, longer ones cut at sentence ends."""
    held: list[str] = []
    begun = 0
    for number, line in enumerate(text.splitlines(), start=1):
        size = sum(map(len, held)) + len(line)
        ended = not line.strip() and not all(each.startswith("#") for each in held)
        if held and (ended or size > LONGEST_PASSAGE):
            yield begun, "\n".join(held)
            held = []
        if line.strip():
            pieces = split_long(line.strip(), LONGEST_PASSAGE)
            for piece in pieces[:-1]:
                yield number, piece
            begun = begun if held else number
            held.append(pieces[-1])
    if held:
        yield begun, "\n".join(held)


def split_long(text: str, longest: int) -> list[str]:
    """A text in pieces of at most so many characters, cut behind line or sentence ends where there are any."""
    pieces = []
    while len(text) > longest:
        window = text[:longest]
        end = max(window.rfind(mark) for mark in ("\n", "。", "；", ". ", "! ", "? ")) + 1
        end = end if end > longest // 3 else longest
        pieces.append(text[:end])
        text = text[end:]
    return [*pieces, text]
