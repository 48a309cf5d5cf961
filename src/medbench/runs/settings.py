"""How a run works: kept beside it, so that a resume keeps to the same budget. Nothing here changes what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from medbench.engine.budget import Price
from medbench.engine.limits import Limits
from medbench.errors import InputError
from medbench.store.files import write_json
from medbench.text import say

SETTINGS_FILE = "settings.json"
NO_CHANGES: Mapping[str, object] = {}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits, budget and cache of a run.

    Attributes:
        concurrency: Most calls in flight; None: found by trying.
        requests_per_minute: None: no limit.
        tokens_per_minute: None: no limit.
        budget_tokens: Most tokens of the whole run.
        budget_cost: Most money of the whole run.
        price_input: Per million tokens.
        price_output: Per million tokens.
        cache: File of the response cache; None: no cache.
        timeout_s: Whole time of one send.
    """

    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budget_tokens: int | None = None
    budget_cost: float | None = None
    price_input: float = 0.0
    price_output: float = 0.0
    cache: str | None = None
    timeout_s: float = 600.0

    def __post_init__(self) -> None:
        """Refuse a budget in money without prices.

        Raises:
            InputError: It could never be reached.
        """
        if self.budget_cost is not None and self.price_input == self.price_output == 0.0:
            raise InputError(say("runs.budget_without_price"))

    @property
    def limits(self) -> Limits:
        """Concurrency and rates."""
        return Limits(self.concurrency, self.requests_per_minute, self.tokens_per_minute)

    @property
    def price(self) -> Price:
        """Prices per million tokens."""
        return Price(self.price_input, self.price_output)


def write_settings(run_dir: Path, settings: Settings) -> None:
    """Write `settings.json`."""
    write_json(run_dir / SETTINGS_FILE, settings)


def read_settings(run_dir: Path, changes: Mapping[str, object] = NO_CHANGES) -> Settings:
    """Read `settings.json` and apply changes to it.

    Raises:
        InputError: It can't be read.
    """
    path = run_dir / SETTINGS_FILE
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=Settings)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(say("runs.bad_run_file", path=path, error=error)) from error
    return msgspec.structs.replace(settings, **changes)
