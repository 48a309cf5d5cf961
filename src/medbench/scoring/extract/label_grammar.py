"""A closed list of labels, ready to be found in an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

import msgspec

from medbench.catalog.model import LabelForm
from medbench.scoring.extract.normalise import fold, nfkc

DECORATION = " \t\r\n\f\v\u3000\"'“”‘’「」『』【】[](){}<>《》*_#`.,;:。、!！•·|-—=>$\\"
SEPARATORS = re.compile(r"[、,;|/\n]")
_NUMBER = re.compile(r"\(?[0-9]{1,2}[.)、:]?\s*")
_SPACES = re.compile(" {2,}")
_MAX_OCCURRENCES = 400


class Occurrence(msgspec.Struct, frozen=True, gc=False):
    """A label in a text; labels inside a longer label do not occur on their own.

    Attributes:
        label: The label, not its synonym; None stands for the empty set.
        start: Place in the text.
        end: Behind it.
    """

    label: str | None
    start: int
    end: int


class Grammar:
    """A closed list with its synonyms.

    Attributes:
        labels: The list, without the label of the empty set.
        longest: Characters of the longest label or synonym.
    """

    def __init__(self, form: LabelForm, options: tuple[str, ...]) -> None:
        self.labels = tuple(label for label in (form.labels or options) if label != form.none_label)
        self._exact: dict[str, str | None] = {fold(other): label for other, label in form.synonyms.items()}
        self._exact |= {fold(label): label for label in self.labels}
        if form.none_label is not None:
            self._exact[fold(form.none_label)] = None
            self._exact |= {fold(other): None for other, label in form.synonyms.items() if label == form.none_label}
        self._exact |= {
            bare: label for key, label in self._exact.items() if (bare := key.strip(DECORATION)) not in self._exact
        }
        self._exact.pop("", None)
        self.longest = max(map(len, self._exact), default=0)
        self._parted = [key for key in self._exact if SEPARATORS.search(key)]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        branches = []
        for key in sorted(self._exact, key=len, reverse=True):
            branch = re.escape(key)
            # Words of Latin letters end where letters end. The look-behind stands last, so that the search can skip to
            # the first characters of labels.
            if key[-1].isascii() and key[-1].isalnum():
                branch += "(?![a-z0-9])"
            if key[0].isascii() and key[0].isalnum():
                branch += f"(?<![a-z0-9]{re.escape(key)})"
            branches.append(branch)
        return re.compile("|".join(branches) or r"(?!)")

    def lookup(self, text: str) -> tuple[bool, str | None]:
        """Whether `text` is a label, a synonym or the label of the empty set, but for decoration; and which.

        Returns:
            Known, and the label (None: the empty set, or not known).
        """
        key = fold(text)
        if key not in self._exact:
            key = key.strip(DECORATION)
            if key not in self._exact:
                return False, None
        return True, self._exact[key]

    def occurrences(self, text: str) -> list[Occurrence]:
        """Labels in a folded text (`searchable`), longest match at each place, at most the last 400."""
        found = [
            Occurrence(self._exact[match[0]], match.start(), match.end()) for match in self._pattern.finditer(text)
        ]
        return found[-_MAX_OCCURRENCES:]

    def tokens(self, segment: str) -> Iterator[str]:
        """The members of a list as written; labels that hold a separator themselves stay whole."""
        whole: list[str] = []
        if self._parted:
            segment = searchable(segment)
            for key in self._parted:
                if key in segment:
                    segment = segment.replace(key, chr(_PRIVATE + len(whole)))
                    whole.append(key)
        for token in SEPARATORS.split(segment):
            for place, key in enumerate(whole):
                token = token.replace(chr(_PRIVATE + place), key)
            yield token


_PRIVATE = 0xE000


def searchable(text: str) -> str:
    """NFKC, one case, no bold print: the text in which labels are searched for."""
    text = nfkc(text).casefold()
    if "**" in text:
        text = text.replace("**", "")
    if "  " in text:
        text = _SPACES.sub(" ", text)
    return text


def without_number(token: str) -> str:
    """A member of a list without its number or bullet."""
    token = token.strip(DECORATION)
    match = _NUMBER.match(token)
    return token[match.end() :].strip(DECORATION) if match and match.end() < len(token) else token


_MAX_FORMS = 1024
_by_form: dict[int, tuple[LabelForm, Grammar]] = {}


def grammar_of(form: LabelForm, options: Sequence[str]) -> Grammar:
    """The grammar of a form; made once for a form with its own list, else kept for the item's options."""
    if form.labels:
        # A form holds a dict and can't be hashed. It is kept here beside its id, so the id is never another form's.
        known = _by_form.get(id(form))
        if known is None:
            if len(_by_form) >= _MAX_FORMS:
                _by_form.clear()
            known = _by_form[id(form)] = (form, Grammar(form, ()))
        return known[1]
    return _grammar_of_options(form.none_label, tuple(form.synonyms.items()), tuple(options))


@lru_cache(maxsize=4096)
def _grammar_of_options(
    none_label: str | None, synonyms: tuple[tuple[str, str], ...], options: tuple[str, ...]
) -> Grammar:
    return Grammar(LabelForm(none_label=none_label, synonyms=dict(synonyms)), options)
