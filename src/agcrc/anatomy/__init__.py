"""Organ masks, the organ-of-interest mask and the colon's centreline."""

from agcrc.anatomy.centreline import Centreline, centreline
from agcrc.anatomy.files import ooi_files
from agcrc.anatomy.mos import multi_organ_segmentation, use_label_map
from agcrc.anatomy.ooi import CORE, OUTSIDE, RING, Ooi, OoiQuality, OoiRegion, organ_of_interest, region_of_interest
from agcrc.anatomy.organs import ClassMap, Organs, load_class_map
from agcrc.anatomy.overlay import draw_overlay
from agcrc.anatomy.radius import RadiusChoice, choose_radius
from agcrc.anatomy.settings import OoiSettings

__all__ = [
    "CORE",
    "OUTSIDE",
    "RING",
    "Centreline",
    "ClassMap",
    "Ooi",
    "OoiQuality",
    "OoiRegion",
    "OoiSettings",
    "Organs",
    "RadiusChoice",
    "centreline",
    "choose_radius",
    "draw_overlay",
    "load_class_map",
    "multi_organ_segmentation",
    "ooi_files",
    "organ_of_interest",
    "region_of_interest",
    "use_label_map",
]
