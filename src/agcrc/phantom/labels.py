"""Label numbers of the organs that the phantom paints: those of TotalSegmentator v2, task `total`."""

from __future__ import annotations

from types import MappingProxyType

LABELS = MappingProxyType(
    {
        "spleen": 1,
        "kidney_right": 2,
        "kidney_left": 3,
        "gallbladder": 4,
        "liver": 5,
        "stomach": 6,
        "pancreas": 7,
        "lung_lower_lobe_left": 11,
        "lung_lower_lobe_right": 14,
        "small_bowel": 18,
        "duodenum": 19,
        "colon": 20,
        "urinary_bladder": 21,
        "prostate": 22,
        "sacrum": 25,
        "vertebrae_L5": 27,
        "vertebrae_L4": 28,
        "vertebrae_L3": 29,
        "vertebrae_L2": 30,
        "vertebrae_L1": 31,
        "vertebrae_T12": 32,
        "vertebrae_T11": 33,
        "heart": 51,
        "aorta": 52,
        "inferior_vena_cava": 63,
        "portal_vein_and_splenic_vein": 64,
        "iliac_artery_left": 65,
        "iliac_artery_right": 66,
        "iliac_vena_left": 67,
        "iliac_vena_right": 68,
        "femur_left": 75,
        "femur_right": 76,
        "hip_left": 77,
        "hip_right": 78,
        "spinal_cord": 79,
        "autochthon_left": 86,
        "autochthon_right": 87,
        "iliopsoas_left": 88,
        "iliopsoas_right": 89,
        "rib_left_9": 100,
        "rib_left_10": 101,
        "rib_left_11": 102,
        "rib_left_12": 103,
        "rib_right_9": 112,
        "rib_right_10": 113,
        "rib_right_11": 114,
        "rib_right_12": 115,
    }
)
COLON = LABELS["colon"]
SMALL_BOWEL = LABELS["small_bowel"]
BONES = tuple(
    number for name, number in LABELS.items() if name.startswith(("sacrum", "vertebrae", "femur", "hip", "rib"))
)
