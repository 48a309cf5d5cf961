"""What a check found of one answer."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from medbench.text import Language, say

CheckStatus = Literal["passed", "failed", "not_covered"]
QUOTED = re.compile(r"[\"“'‘]([^\"“”'‘’]+)[\"”'’]")
"""A value in quotation marks of any kind, as descriptions of APIs and of tables give it."""


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One thing that a check found.

    Attributes:
        code: Short and stable; its text is the message `scoring.check_<code>`.
        detail: Where or what: a parameter, a column, what the parser said.
    """

    code: str
    detail: str = ""

    def text(self, language: Language | None = None) -> str:
        """The finding in words."""
        words = say(f"scoring.check_{self.code}", language=language)
        return f"{words}: {self.detail}" if self.detail else words


class ExecutableCheck(msgspec.Struct, frozen=True):
    """What running an answer showed. It stands beside the judge and is no part of any score.

    Attributes:
        status: `passed`: nothing wrong was found; `failed`: something was; `not_covered`: it could not be run, which
            says nothing about the answer.
        findings: Of a failed answer all that is wrong, of one that is not covered why.
        evidence: What was run, readable as JSON.
    """

    status: CheckStatus
    findings: tuple[Finding, ...] = ()
    evidence: dict[str, object] = {}
