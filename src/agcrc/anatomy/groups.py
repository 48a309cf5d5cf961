"""Which class names play which part. Names are TotalSegmentator's; both versions and the GCA models share them."""

from __future__ import annotations

COLON = "colon"
BODY = "body"
SMALL_BOWEL = "small_bowel"
SACRUM = "sacrum"

_BONE_STEMS = ("vertebrae_", "rib_", "hip_", "femur_", "humerus_", "scapula_", "clavicula_")
_BONES = (SACRUM, "sternum", "skull", "costal_cartilages")
_SURE_STEMS = ("kidney_left", "kidney_right", "lung_", "autochthon_", "gluteus_", "iliopsoas_")
_SURE = ("liver", "spleen", "aorta")
_LIMB_STEMS = ("humerus_", "scapula_", "clavicula_", "femur_", "gluteus_")
_ABDOMEN_STEMS = ("vertebrae_L", "vertebrae_S", "kidney_", "adrenal_gland_", "iliac_", "iliopsoas_", "hip_")
_ABDOMEN = (
    *("liver", "spleen", "gallbladder", "stomach", "pancreas", SMALL_BOWEL, "duodenum", COLON),
    *("urinary_bladder", "prostate", "uterus", SACRUM, "portal_vein_and_splenic_vein", BODY),
)
_UPPER = ("liver", "spleen", "stomach", "kidney_left", "kidney_right", "pancreas", SMALL_BOWEL, COLON)
_PELVIS = (SACRUM, "hip_left", "hip_right", "prostate", "urinary_bladder")


def is_bone(name: str) -> bool:
    """Bones: a bridge crosses them at a high price, and they are never colon."""
    return name in _BONES or name.startswith(_BONE_STEMS)


def is_sure(name: str) -> bool:
    """Organs and muscles that a segmenter does not mistake for colon (spec, section 1 step 6): they are cut out.

    The spec names no muscles; those of back, hip and buttocks are our addition.

    Small bowel, bladder, prostate, uterus, stomach and duodenum are not among them: tumours grow into them, and
    segmenters do take colon for them.
    """
    return is_bone(name) or name in _SURE or name.startswith(_SURE_STEMS)


def is_abdomen(name: str) -> bool:
    """Classes that show that some of the abdomen or pelvis is in view."""
    return name in _ABDOMEN or name.startswith(_ABDOMEN_STEMS)


def is_limb(name: str) -> bool:
    """Bones and muscles of arms and legs, which lie outside the trunk."""
    return name.startswith(_LIMB_STEMS)


def is_upper_abdomen(name: str) -> bool:
    """Organs whose highest voxel marks the upper end of the abdominal cavity."""
    return name in _UPPER


def is_pelvis(name: str) -> bool:
    """Classes whose lowest voxel marks the floor of the pelvis."""
    return name in _PELVIS
