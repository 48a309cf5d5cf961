"""A plan for a network that trains and predicts in seconds, for tests."""

from __future__ import annotations

from agcrc.train.plan import Intensity, Plan


def small_plan(**changes: object) -> Plan:
    """A plan of 4 mm and patches of 16 x 16 x 16; anything given takes the place of what it has."""
    fields: dict[str, object] = {
        "dataset": "test",
        "class_map": "totalsegmentator_v2",
        "spacing_mm": (4.0, 4.0, 4.0),
        "patch": (16, 16, 16),
        "batch": 2,
        "features": (4, 8),
        "blocks": (1, 1),
        "intensity": Intensity(-150.0, 250.0, 20.0, 60.0),
        "ooi_radius_mm": 15.0,
    }
    return Plan(**{**fields, **changes})  # type: ignore[arg-type]
