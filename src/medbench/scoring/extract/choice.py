"""The options that an answer names: letters (or the text of one option), and nothing that it merely mentions.

Verdicts are read in this order; within the first kind the last one in the text wins.

1. The whole answer, or its last line, is letters; or a cue names them (`答案是B`, `故选B`, `the answer is B`, `<B>`,
   `\\boxed{B}`). The last line may also be one letter with that option's text.
2. The whole answer is the text of exactly one option.
3. The first line is letters, or a letter with that option's text, and an explanation follows.
4. Letters of which it is said that they are right (`B选项正确`): all such statements must name the same options.
5. The answer begins with its letters and goes on (`B，因为…`), and no other option is put forward.

A single lower-case letter counts; lower-case letters that stand together (`abc`) are a word. Two options joined by "or"
are ambiguous in every form, as are several in a form that wants one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from medbench.scoring.extract import choice_patterns as patterns
from medbench.scoring.extract.normalise import VERDICT_WINDOW, fold, nfkc
from medbench.scoring.model import Extraction

_ALPHABET = 26
_TAIL = 320
_TAIL_MARGIN = 48
_BEFORE = 32
_UNFINISHED = ("?", ":", "...")  # a question, a heading, a text that was cut
_SINGLE = tuple(Extraction(frozenset((position,))) for position in range(_ALPHABET))
_POSITION = {letter: position for position, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
_AFTER_LETTER = ".、:)．：）"
_AMBIGUOUS = Extraction(None, "ambiguous")
_OUT_OF_RANGE = Extraction(None, "out_of_range")
_NO_VERDICT = Extraction(None, "no_verdict")
_EMPTY = Extraction(None, "empty")

_FENCE = re.compile(r"`{3,}(?:json|text|plaintext|markdown|latex)?|`+")
_EMPHASIS = re.compile(r"</?(?:strong|em|p|u|span|h[1-6])>|<b>([^<>]{0,200})</b>", re.IGNORECASE)


def extract_choice(text: str, options: Sequence[str], *, multiple: bool) -> Extraction:
    """Read the options that an answer names.

    Args:
        text: The answer without reasoning. Only its last 32 Ki characters are read.
        options: Texts in the order displayed; empty where they are not known (then any letter is in range).
        multiple: Several options may be named.

    Returns:
        Positions from 0, or none with a reason: `empty`, `no_verdict`, `ambiguous`, `out_of_range`.
    """
    count = len(options) or _ALPHABET
    if len(text) <= 3:
        letter = text if len(text) == 1 else text[1:2] if text[:1] == "<" and text[2:] == ">" else ""
        position = _POSITION.get(letter)
        if position is not None:
            return _SINGLE[position] if position < count else _OUT_OF_RANGE
        if not text:
            return _EMPTY
    if "\n" in text and _stops_in_a_list(text):
        return _AMBIGUOUS
    reader = _Reader(tuple(options), count, multiple)
    if len(text) > 3 * _TAIL:
        # The last verdict wins, so the end is read alone first; what is found at its very edge may be cut.
        found = reader.strong(_clean(text[-_TAIL:]), margin=_TAIL_MARGIN)
        if found is not None:
            return found
    return reader.read(_clean(text[-VERDICT_WINDOW:]))


def _stops_in_a_list(text: str) -> bool:
    """Whether a copy of the options was cut at its next letter: `…C. text`, line end, `D.`: that D is no verdict."""
    head, _, last = text.rstrip().rpartition("\n")
    last = last.strip()
    if len(last) > 2 or last[:1] not in _POSITION or last[1:] not in _AFTER_LETTER:
        return False
    previous = head.rstrip().rpartition("\n")[2].lstrip()
    letter, mark = previous[:1], previous[1:2]
    return letter in _POSITION and mark != "" and mark in _AFTER_LETTER and _POSITION[last[0]] - _POSITION[letter] == 1


def _clean(text: str) -> str:
    """NFKC without markdown emphasis, code fences and the tags of bold print (but `<B>` alone is a verdict)."""
    text = nfkc(text)
    if "**" in text:
        text = text.replace("**", "")
    if "`" in text:
        text = _FENCE.sub("", text)
    if "</" in text:
        text = _EMPHASIS.sub(lambda match: match[1] or "", text)
    return text


@lru_cache(maxsize=8192)
def _by_text(options: tuple[str, ...]) -> dict[str, int]:
    """Folded text of an option -> its position; -1 where two options share it."""
    positions: dict[str, int] = {}
    for position, option in enumerate(options):
        key = _bare(option)
        if key:
            positions[key] = -1 if key in positions else position
    return positions


@lru_cache(maxsize=8192)
def _first_characters(options: tuple[str, ...]) -> frozenset[str]:
    return frozenset(key[0] for key in _by_text(options))


def _bare(text: str) -> str:
    return fold(text).strip(patterns.DECORATION)


class _Reader:
    """Reads verdicts over one set of options."""

    __slots__ = ("count", "multiple", "options")

    def __init__(self, options: tuple[str, ...], count: int, multiple: bool) -> None:
        self.options = options
        self.count = count
        self.multiple = multiple

    def read(self, text: str) -> Extraction:
        """The verdict in a whole answer."""
        core = text.strip(patterns.DECORATION)
        if not core:
            return _EMPTY
        whole = self._whole(core, text)
        if whole is not None:
            return whole
        found = self.strong(text, margin=0)
        if found is None:
            found = self._exact_text(core)
        if found is None:
            found = self._letter_lines(text)
        if found is None:
            found = self._predicates(text)
        if found is None:
            found = self._leading(text)
        return _NO_VERDICT if found is None else found

    def strong(self, text: str, margin: int) -> Extraction | None:
        """The last verdict of the first kind that begins at `margin` or behind it."""
        last_line_start = text.rstrip(patterns.DECORATION).rfind("\n") + 1
        if last_line_start >= margin and last_line_start > 0:
            found = self._last_line(text, last_line_start)
            if found is not None:
                return found
        for match in reversed(list(patterns.STRONG.finditer(text, margin))):
            found = self._cued(text, match)
            if found is not None:
                return found
        return None

    def _letters(self, letters: str, *, whole: bool) -> Extraction | None:
        """The options that a string of letters and joints names; None where it is a word rather than letters.

        Args:
            letters: For example `A, C and E`.
            whole: The string is all of the answer, so that letters out of range are no word such as `CT`.
        """
        if len(letters) == 1:
            position = _POSITION[letters.upper()]
            return _SINGLE[position] if position < self.count else _OUT_OF_RANGE
        if patterns.EITHER.search(letters):
            return _AMBIGUOUS
        chosen: set[int] = set()
        beyond = False
        for run in patterns.LETTERS.findall(letters):
            if run in ("and", "And", "AND") or (len(run) > 1 and not run.isupper()):
                continue
            positions = [_POSITION[letter] for letter in run.upper()]
            if max(positions) >= self.count:
                if len(run) > 1 and not whole:
                    return None
                beyond = True
            chosen.update(positions)
        if beyond:
            return _OUT_OF_RANGE
        if len(chosen) == 1:
            return _SINGLE[chosen.pop()]
        return Extraction(frozenset(chosen)) if self.multiple else _AMBIGUOUS

    def _whole(self, core: str, text: str) -> Extraction | None:
        if len(core) > 240 or text.rstrip().endswith(_UNFINISHED):
            return None
        match = patterns.WHOLE.fullmatch(core)
        if match is None:
            return None
        letters = match["letters"]
        if len(letters) > 1 and not (self.multiple and len(core) == len(letters)):
            by_text = self._exact_text(core)
            if by_text is not None:
                return by_text
        return self._letters(letters, whole=True)

    def _exact_text(self, core: str) -> Extraction | None:
        if not self.options or len(core) > 2000:
            return None
        position = _by_text(self.options).get(_bare(core))
        if position is None:
            return None
        return _SINGLE[position] if position >= 0 else _AMBIGUOUS

    def _last_line(self, text: str, start: int) -> Extraction | None:
        line = text[start:].strip()
        if len(line) > 240 or text.rstrip().endswith(_UNFINISHED):
            return None
        match = patterns.WHOLE.fullmatch(line.strip(patterns.DECORATION))
        if match is not None:
            before = text[:start].rstrip()
            previous = before[before.rfind("\n") + 1 :].strip(patterns.DECORATION)
            # Lines of bare letters one below the other are a list; only the whole answer decides what it means.
            if len(previous) <= 3 and patterns.WHOLE.fullmatch(previous):
                return None
            return self._letters(match["letters"], whole=False)
        letter = patterns.LETTER_LINE.fullmatch(line)
        if letter is not None and self._has_own_text(letter):
            before = text[:start].rstrip()
            above = patterns.LETTER_LINE.fullmatch(before[before.rfind("\n") + 1 :])
            if above is None or not self._has_own_text(above):
                return _SINGLE[_POSITION[letter[1].upper()]]
        return None

    def _cued(self, text: str, match: re.Match[str]) -> Extraction | None:
        """The verdict of one cue; None where it is taken back, somebody else's, or no verdict at all."""
        group = match.lastgroup
        found = None
        if group == "text":
            found = self._cued_text(text, match.end())
            if found is None:
                return None
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        if patterns.negated_before(before):
            return None
        if found is not None:
            return found
        if group == "angle" and patterns.MENTIONED_BEFORE.search(before):
            return None
        letters = match[group or ""]
        end = match.end()
        found = self._letters(letters, whole=False)
        if found is None or patterns.NEGATED_AFTER.match(text, end):
            return None
        if patterns.RETRACTED_AFTER.match(text, end) or patterns.EITHER_AFTER.match(text, end):
            return _AMBIGUOUS
        if self.multiple and len(letters) == 1 and found.value is not None:
            listed = self._listed(text, match.start(group or ""))
            if listed is not None:
                return listed
        return _AMBIGUOUS if self._goes_on(text, end, letters) else found

    def _goes_on(self, text: str, end: int, letters: str) -> bool:
        """Whether other options follow on the same line, each a letter with its own text: options written out again."""
        if text[end : end + 1] not in (".", "、", ":", ")"):
            return False
        line_end = text.find("\n", end, end + 600)
        for other in patterns.LISTED.finditer(text, end, line_end if line_end >= 0 else end + 600):
            position = _POSITION[other[1]]
            if other[1] not in letters and position < len(self.options):
                own = _bare(self.options[position])
                if own and _bare(text[other.end() : other.end() + len(own) + 16]).startswith(own):
                    return True
        return False

    def _cued_text(self, text: str, start: int) -> Extraction | None:
        """A cue that is followed by an option's text, with or without its letter before it (`答案是B胰腺癌`)."""
        first = text[start : start + 1]
        if not self.options or not first:
            return None
        if first not in _POSITION and first.casefold() not in _first_characters(self.options):
            return None
        line_end = text.find("\n", start, start + 400)
        line = text[start : line_end if line_end >= 0 else start + 400]
        letter = patterns.LETTER_LINE.match(line)
        if letter is not None:
            position = _POSITION[letter[1].upper()]
            own = _bare(self.options[position]) if position < self.count else ""
            if own and letter[1].isupper() and _bare(letter[3]).startswith(own) and not _article(letter):
                return _SINGLE[position]
        named = patterns.TEXT_WITH_LETTER.match(line)
        if named is not None:
            found = self._exact_text(named[1])
            return found if found is not None and found.value == frozenset((_POSITION[named[2]],)) else None
        found = self._exact_text(line)
        if found is None:
            clause = re.split(r"[。;,]|\.\s|\.$", line, maxsplit=1)[0]
            if len(clause) < len(line):
                found = self._exact_text(clause)
        return found

    def _has_own_text(self, letter: re.Match[str]) -> bool:
        """Whether a letter stands before the text of its own option."""
        position = _POSITION[letter[1].upper()]
        if position >= len(self.options) or _article(letter):
            return False
        own = _bare(self.options[position])
        return bool(own) and _bare(letter[3]) == own

    def _listed(self, text: str, start: int) -> Extraction | None:
        """Options listed with their texts from `start`, one a line or between semicolons; None for fewer than two."""
        chosen: set[int] = set()
        for piece in re.split(r"[\n;]", text[start : start + 4000], maxsplit=_ALPHABET):
            if not piece.strip():
                continue
            letter = patterns.LETTER_LINE.fullmatch(piece)
            if letter is None or not letter[2] or not letter[1].isupper():
                break
            if patterns.NEGATED_AFTER.match(letter[3]):
                return _AMBIGUOUS
            position = _POSITION[letter[1]]
            if position >= self.count:
                return _OUT_OF_RANGE
            chosen.add(position)
        return Extraction(frozenset(chosen)) if len(chosen) > 1 else None

    def _letter_lines(self, text: str) -> Extraction | None:
        """Answers that open with letters on a line of their own, or with a letter and that option's text."""
        lines = [line for line in text.split("\n", 200) if line.strip()]
        first = lines[0].strip()
        if len(first) <= 240:
            match = patterns.WHOLE.fullmatch(first.strip(patterns.DECORATION))
            if match is not None and not first.endswith("?"):
                others = {line.strip(patterns.DECORATION) for line in lines[1:] if len(line) < 16}
                if any(patterns.WHOLE.fullmatch(other) and other != match["letters"] for other in others):
                    return _AMBIGUOUS
                return self._letters(match["letters"], whole=False)
        opening = patterns.LETTER_LINE.fullmatch(first)
        if opening is None:
            return None
        marked = [patterns.LETTER_LINE.fullmatch(line) for line in lines]
        if self._has_own_text(opening):
            listing = any(
                letter is not None and letter[1] != opening[1] and self._has_own_text(letter) for letter in marked[1:]
            )
            if not listing:
                return _SINGLE[_POSITION[opening[1].upper()]]
        if all(letter is not None and letter[2] and letter[1].isupper() for letter in marked) and len(lines) > 1:
            if not self.multiple:
                return _AMBIGUOUS
            listed = self._listed(text, 0)
            return None if listed is None else self._unless_all(listed)
        return None

    def _unless_all(self, listed: Extraction) -> Extraction:
        """The options written out once more, every one of them, are a repetition of the question."""
        return _AMBIGUOUS if isinstance(listed.value, frozenset) and len(listed.value) == self.count else listed

    def _predicates(self, text: str) -> Extraction | None:
        verdicts: dict[object, Extraction] = {}
        for match in patterns.PREDICATE.finditer(text):
            if patterns.negated_before(text[max(0, match.start() - _BEFORE) : match.start()]):
                continue
            found = self._letters(match[1], whole=False)
            if found is not None:
                verdicts[found.value] = found
        if not verdicts:
            return None
        return next(iter(verdicts.values())) if len(verdicts) == 1 else _AMBIGUOUS

    def _leading(self, text: str) -> Extraction | None:
        match = patterns.LEADING.match(text)
        if match is None or (match[1] + text[match.end() - 1]) in ("A:", "I,"):  # "A: …" of a dialogue, "I, as an AI"
            return None
        if patterns.NEGATED_AFTER.match(text, match.end()):
            return None
        if re.match(rf"\s?(?:{patterns.EPITHETS})(?![a-z])", text[match.end() : match.end() + 24]):
            return None
        if self.multiple and len(match[1]) == 1 and ";" in text:
            listed = self._listed(text, 0)
            if listed is not None:
                return self._unless_all(listed)
        found = self._letters(match[1], whole=False)
        named = set(match[1])
        for other in patterns.MARKER.finditer(text, match.end() - 1):
            if other[1] not in named and not patterns.NEGATED_AFTER.match(text, other.end()):
                return _AMBIGUOUS if other[2] else None
        if len({other[1] for other in patterns.LISTED.finditer(text, match.end())} - named) > 1:
            return _AMBIGUOUS
        return found


def _article(letter: re.Match[str]) -> bool:
    """Whether a letter before a text is the English article ("A biopsy")."""
    behind = letter.string[letter.end(1) : letter.end(1) + 1]
    return letter[1] in "Aa" and behind == " " and letter[3][:1].isascii() and letter[3][:1].isalpha()
