"""Names of drugs and the rules about them, as data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec


class Interaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens where a drug of `a` meets one of `b`."""

    a: tuple[str, ...]
    b: tuple[str, ...]
    severity: Literal["avoid", "monitor"]
    en: str
    zh: str
    source: str


class Renal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds below a kidney function (mL/min)."""

    below: float
    avoid: bool
    en: str
    zh: str


class Dose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Upper limits of a drug for adults by mouth (mg), the shortest interval (h), and kidney limits, lowest first."""

    source: str
    max_dose_mg: float | None = None
    max_daily_mg: float | None = None
    min_interval_h: float | None = None
    renal: tuple[Renal, ...] = ()
    en: str = ""
    zh: str = ""


@cache
def interactions() -> Sequence[Interaction]:
    """All rules about pairs."""
    return msgspec.convert(_data("interactions")["rule"], tuple[Interaction, ...])


@cache
def doses() -> Mapping[str, Dose]:
    """Limits by drug."""
    return msgspec.convert(_data("doses"), dict[str, Dose])


@cache
def names() -> Mapping[str, str]:
    """Any name, in lower case -> the name that rules use."""
    known = _data("drugs")["names"]
    return {each.lower(): name for name, others in known.items() for each in (name, *others)}


def drug(written: str) -> str | None:
    """The drug that a text names, also with salt, dose form or strength around it; None where it is not known.

    The longest name in it wins.
    """
    text = written.strip().lower()
    found = [name for name in names() if name in text]
    return names()[max(found, key=len)] if found else None


def _data(name: str) -> Mapping[str, Any]:
    return tomllib.loads(files("medbench.agents.tools").joinpath("data", f"{name}.toml").read_text("utf-8"))
