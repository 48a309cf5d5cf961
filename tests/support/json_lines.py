"""Files with one JSON value a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def json_lines(path: Path) -> list[Any]:
    """All values."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
