from __future__ import annotations

import pytest

from agcrc.phantom import TIERS, Degradation, PhantomCase, PhantomSettings, make_case


@pytest.fixture(scope="session")
def smoke_cases() -> list[PhantomCase]:
    return [make_case(PhantomSettings(TIERS["smoke"]), seed) for seed in range(2, 8)]


@pytest.fixture(scope="session")
def clean_cases() -> list[PhantomCase]:
    """CPU tier, with lesions and undamaged organ masks."""
    settings = PhantomSettings(TIERS["cpu"], healthy_share=0.0, degrade=Degradation.none())
    return [make_case(settings, seed) for seed in range(3)]
