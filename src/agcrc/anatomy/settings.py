"""All numbers of the organ-of-interest mask, with their units."""

from __future__ import annotations

from dataclasses import dataclass, fields

from agcrc.errors import InputError, Problem

LARGEST_RADIUS_MM = 60.0


@dataclass(frozen=True, slots=True)
class OoiSettings:
    """Numbers of the organ-of-interest mask (spec, section 1); `_mm` are mm, `_ml` mL, costs are per mm of path.

    Attributes:
        spacing_mm: Voxel size of the isotropic copy on which all is computed.
        least_part_ml: Smaller parts of the colon are dropped.
        cost_colon: Of a voxel that is labelled colon, dropped crumbs included.
        cost_gas: Gas inside the body that is not lung.
        cost_soft: Soft tissue without a label.
        cost_fat: Fat without a label.
        cost_unknown: No label and no CT: taken for soft tissue, or a bridge would avoid the very gap in the labels.
        cost_bowel: Small bowel, the price of soft tissue and not of an organ: of the colon that TotalSegmentator loses
        on the
            example CT, nine tenths carry this label.
        cost_organ: Any other organ.
        cost_bone: Bone.
        bridge_longest_mm: Longest bridge.
        bridge_mean_cost: Highest mean cost of a bridge.
        bridge_radius_mm: Largest radius of the tube along a bridge: it has the calibre of the thinner of its two ends.
        bridge_least_radius_mm: Least radius of the tube, that of a collapsed colon; with r = 15 mm the region is 25 mm
        wide.
        opening_mm: Radius of the opening before the skeleton is taken.
        dead_end_branch_mm: Shorter branches of the skeleton are no ends.
        dead_end_ball_mm: Largest radius of the ball at a dead end.
        dead_end_gap_mm: Ends further apart are no pair.
        dead_end_facing: Least cosine between the direction of an end and the way to its partner.
        dead_end_discount: A path between ends of different parts counts this share of its cost when it competes with
            others to join the parts.
        rectum_gap_mm: The colon may end this far above the anal level before the rectum is added.
        radius_mm: Dilation r.
        organ_erosion_mm: Sure organs are cut out without their outer layer of this thickness.
        lesion_margin_mm: Dilation of the lesion in training.
        least_colon_ml: Less colon is implausible.
        least_colon_ml_per_cm: So is less per cm of the abdomen's height in view.
        most_colon_ml: So is more.
    """

    spacing_mm: float = 3.0
    least_part_ml: float = 0.5
    cost_colon: float = 0.05
    cost_gas: float = 0.5
    cost_soft: float = 1.0
    cost_fat: float = 3.0
    cost_unknown: float = 1.0
    cost_bowel: float = 1.0
    cost_organ: float = 20.0
    cost_bone: float = 10.0
    bridge_longest_mm: float = 150.0
    bridge_mean_cost: float = 4.0
    bridge_radius_mm: float = 25.0
    bridge_least_radius_mm: float = 6.0
    bridge_calibre: float = 0.8
    opening_mm: float = 3.0
    dead_end_branch_mm: float = 25.0
    dead_end_ball_mm: float = 40.0
    dead_end_gap_mm: float = 120.0
    dead_end_facing: float = 0.5
    dead_end_discount: float = 0.25
    rectum_gap_mm: float = 40.0
    radius_mm: float = 15.0
    organ_erosion_mm: float = 5.0
    lesion_margin_mm: float = 10.0
    least_colon_ml: float = 5.0
    least_colon_ml_per_cm: float = 1.0
    most_colon_ml: float = 8000.0

    def __post_init__(self) -> None:
        wrong = [each.name for each in fields(self) if not float(getattr(self, each.name)) >= 0.0]
        problems = [
            Problem(f"{name} is {getattr(self, name)}.", "Give a number that is not negative.") for name in wrong
        ]
        if not 0.0 <= self.radius_mm <= LARGEST_RADIUS_MM:
            problems.append(
                Problem(f"the radius is {self.radius_mm:g} mm.", f"0 to {LARGEST_RADIUS_MM:g} mm are possible.")
            )
        if not 1.0 <= self.spacing_mm <= 6.0:
            problems.append(Problem(f"the copy's spacing is {self.spacing_mm:g} mm.", "1 to 6 mm are possible."))
        if problems:
            raise InputError(*problems)
