from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, so that a red suite means that the change broke something; HYPOTHESIS_PROFILE=explore
# looks for new ones. No example is timed: a busy machine is no fault.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", UNTIMED, derandomize=True)
settings.register_profile("explore", UNTIMED, derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

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


@pytest.fixture(scope="session")
def human_ratings(shared: Path) -> Path:
    return shared / "data" / "human_ratings"
