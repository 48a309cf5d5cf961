"""What a phantom is made of: size, difficulty, and how its organ mask is damaged (specs/agcrc.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from agcrc.errors import InputError, Problem
from agcrc.volumes import Grid, Triple

Range = tuple[float, float]


@dataclass(frozen=True)
class Tier:
    """A size of the phantom, with lesions that can be learnt at its resolution.

    The array is (z, y, x). A body is wider than deep, so the short axis of a tier is y: 384 mm from below the anus to
    the lung bases, 320 mm from back to front, 384 mm from side to side at body scale 1.

    Attributes:
        name: `smoke`, `cpu` or `gpu`.
        shape: Voxels (z, y, x).
        spacing_mm: Edge of a cubic voxel.
        body_scale: All lengths of the anatomy (colon, wall, organs) are multiplied by this, so the whole colon fits the
            field of view.
        lesion_ml: Smallest and largest volume of a lesion, and of a distractor.
        lesion_above_wall_hu: How far a lesion's mean lies above the colon wall (40 to 55 HU).
    """

    name: str
    shape: Triple
    spacing_mm: float
    body_scale: float
    lesion_ml: Range
    lesion_above_wall_hu: Range

    @property
    def grid(self) -> Grid:
        """The tier's grid; 0 mm is the middle of the field of view."""
        z, y, x = (-(size - 1) / 2.0 * self.spacing_mm for size in self.shape)
        return Grid.of(self.shape, (self.spacing_mm, self.spacing_mm, self.spacing_mm), (x, y, z))


# A pilot measured that lesions below 8 mL, or less than 40 HU above the wall, can't be learnt at 4 mm: partial volume.
# Small faint lesions (60 to 85 HU) therefore belong to the 2 mm tier alone.
TIERS = MappingProxyType(
    {
        tier.name: tier
        for tier in (
            Tier("smoke", (48, 48, 48), 6.0, 0.75, (8.0, 24.0), (45.0, 65.0)),
            Tier("cpu", (96, 80, 96), 4.0, 1.0, (8.0, 40.0), (40.0, 55.0)),
            Tier("gpu", (192, 160, 192), 2.0, 1.0, (2.0, 40.0), (15.0, 35.0)),
        )
    }
)


def tier_named(name: str) -> Tier:
    """The tier of that name.

    Raises:
        InputError: There is none; the message lists them.
    """
    if name not in TIERS:
        raise InputError(Problem(f"there is no tier {name!r}.", f"Choose one of {', '.join(TIERS)}."))
    return TIERS[name]


@dataclass(frozen=True)
class Degradation:
    """How the organ mask is damaged, after what real masks look like; every part can be switched off.

    Attributes:
        dropped_segments_mm: Lengths of colon that are missing, shortest and longest; None for none. A value of
            (60, 60) makes gaps of exactly 60 mm along the centreline.
        tumour_drop: Share of each lesion's voxels that the colon lacks; 0 for none.
        boundary_jitter_mm: Standard deviation of the displacement of the colon's surface; 0 for none.
        leaks: The colon spills into neighbouring small bowel.
        part_called_small_bowel: 20 to 60 mm of the colon carry the label of small bowel.
        colon_missing: Share of cases without any colon label.
    """

    dropped_segments_mm: Range | None = (20.0, 60.0)
    tumour_drop: float = 0.7
    boundary_jitter_mm: float = 3.0
    leaks: bool = True
    part_called_small_bowel: bool = True
    colon_missing: float = 0.03

    def __post_init__(self) -> None:
        problems = [
            *_not_a_share("tumour_drop", self.tumour_drop),
            *_not_a_share("colon_missing", self.colon_missing),
            *([] if self.dropped_segments_mm is None else _no_range("dropped_segments_mm", self.dropped_segments_mm)),
            *_no_range("boundary_jitter_mm", (0.0, self.boundary_jitter_mm)),
        ]
        if problems:
            raise InputError(*problems)

    @staticmethod
    def none() -> Degradation:
        """Leaves the organ mask as it is."""
        return Degradation(
            dropped_segments_mm=None,
            tumour_drop=0.0,
            boundary_jitter_mm=0.0,
            leaks=False,
            part_called_small_bowel=False,
            colon_missing=0.0,
        )


@dataclass(frozen=True)
class PhantomSettings:
    """A population of phantoms; a seed picks one of it.

    Attributes:
        tier: Size and lesions.
        lesions: Fewest and most lesions of a case that has any.
        distractors: Fewest and most masses outside the colon.
        hu_gap: How far distractors lie below lesions in HU. 0 makes them alike, so only anatomy tells them apart; 30
            lets the grey value tell. Difficulty in section 7 is a curve over this and over the number of distractors.
        healthy_share: Share of cases without a lesion; they have distractors.
        noise_hu: Lowest and highest standard deviation of the noise.
        degrade: Damage to the organ mask.
    """

    tier: Tier
    lesions: tuple[int, int] = (1, 2)
    distractors: tuple[int, int] = (4, 7)
    hu_gap: float = 0.0
    healthy_share: float = 0.2
    noise_hu: Range = (15.0, 20.0)
    degrade: Degradation = field(default_factory=Degradation)

    def __post_init__(self) -> None:
        problems = [
            *_no_range("lesions", self.lesions),
            *_no_range("distractors", self.distractors),
            *_no_range("noise_hu", self.noise_hu),
            *_no_range("hu_gap", (0.0, self.hu_gap)),
            *_not_a_share("healthy_share", self.healthy_share),
        ]
        if self.lesions[0] < 1:
            problems.append(Problem("lesions starts below 1.", "Healthy cases come from healthy_share."))
        if problems:
            raise InputError(*problems)


def _not_a_share(name: str, value: float) -> list[Problem]:
    return [] if 0.0 <= value <= 1.0 else [Problem(f"{name} is {value:g}.", "Give a share from 0 to 1.")]


def _no_range(name: str, values: Range | tuple[int, int]) -> list[Problem]:
    low, high = values
    if 0.0 <= low <= high:
        return []
    return [Problem(f"{name} runs from {low:g} to {high:g}.", "Give two numbers of at least 0, the smaller one first.")]
