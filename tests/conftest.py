from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def shared_folder(name: str) -> Path:
    """A folder of the checks' data; absent: skip, but fail in CI, where it must be there."""
    folder = REPOSITORY.parent / "shared" / name
    if not folder.exists():
        reason = f"{folder} is not here: real data for checks is kept beside the repository, never in it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    return shared_folder("")
