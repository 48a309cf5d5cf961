"""What can go wrong, said so that a person can mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input.

    Attributes:
        message: What is wrong, with the numbers.
        advice: What to do; may be empty.
        file: Where, if a file is meant.
    """

    message: str
    advice: str = ""
    file: str = ""

    def __str__(self) -> str:
        """One line: file, what is wrong, what to do."""
        place = f"{self.file}: " if self.file else ""
        return f"{place}{self.message}" + (f" {self.advice}" if self.advice else "")


class InputError(Exception):
    """Input that can't be used; nothing was started. The command line exits with 2.

    Attributes:
        problems: All of them.
    """

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(Problem(each) if isinstance(each, str) else each for each in problems)
        super().__init__("\n".join(map(str, self.problems)))


class WorkError(Exception):
    """A failure during work, such as a full disk. The command line exits with 1."""
