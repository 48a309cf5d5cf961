"""Procedural abdominal CT with colon, lesions, distractors and imperfect organ masks: layer A of specs/agcrc.md."""

from agcrc.phantom.contact_sheet import Row, sheet_row, write_contact_sheet
from agcrc.phantom.dataset import write_dataset
from agcrc.phantom.degrade import Damage, degrade_organs
from agcrc.phantom.labels import LABELS
from agcrc.phantom.lesions import Distractor, Lesion
from agcrc.phantom.make import GENERATOR, PhantomCase, make_case
from agcrc.phantom.settings import TIERS, Degradation, PhantomSettings, Tier, tier_named

__all__ = [
    "GENERATOR",
    "LABELS",
    "TIERS",
    "Damage",
    "Degradation",
    "Distractor",
    "Lesion",
    "PhantomCase",
    "PhantomSettings",
    "Row",
    "Tier",
    "degrade_organs",
    "make_case",
    "sheet_row",
    "tier_named",
    "write_contact_sheet",
    "write_dataset",
]
