"""One phantom case from settings and a seed: an abdomen with a colon, lesions, distractors and a damaged organ mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agcrc.phantom.body import Build, paint_bones, paint_muscles, paint_wall
from agcrc.phantom.canvas import Canvas
from agcrc.phantom.colon import PRESSED_MM, SMALLEST_RADIUS_VOXELS, draw_filling, draw_radius, lay_colon, paint_colon
from agcrc.phantom.course import Room, colon_curve, small_bowel_curve, with_room
from agcrc.phantom.degrade import Damage, degrade_organs
from agcrc.phantom.labels import SMALL_BOWEL
from agcrc.phantom.lesions import Distractor, Lesion, draw_places, grow_distractors, grow_lesions
from agcrc.phantom.organs import paint_hollow, paint_mesentery, paint_organs, perfused
from agcrc.phantom.scanner import draw_texture, scan
from agcrc.phantom.settings import PhantomSettings
from agcrc.phantom.tubes import Tube
from agcrc.volumes import Grid

GENERATOR = 1
"""Raise this where the same seed gives another case; folders of different generators are never mixed."""


@dataclass(frozen=True, eq=False)
class PhantomCase:
    """A simulated case; arrays are (z, y, x).

    Attributes:
        seed: What it was drawn from.
        grid: Where the voxels stand.
        ct: HU, float32, whole numbers.
        organs_true: Label numbers of TotalSegmentator v2, uint8; lesion voxels are colon.
        organs: The same, damaged as real masks are, uint8.
        lesion: 0 and 1, uint8.
        distractors: 0 and 1, uint8: masses that are no lesions.
        centreline: (n, 3) as (x, y, z) in RAS+ mm, anus first.
        lesions: What the lesion mask holds.
        distractor_list: What the distractor mask holds.
        damage: What was done to `organs`.
    """

    seed: int
    grid: Grid
    ct: NDArray[np.float32]
    organs_true: NDArray[np.uint8]
    organs: NDArray[np.uint8]
    lesion: NDArray[np.uint8]
    distractors: NDArray[np.uint8]
    centreline: NDArray[np.float64]
    lesions: tuple[Lesion, ...]
    distractor_list: tuple[Distractor, ...]
    damage: Damage

    @property
    def healthy(self) -> bool:
        """Whether there is no lesion."""
        return not self.lesions


def make_case(settings: PhantomSettings, seed: int) -> PhantomCase:
    """Make a case; the same settings and seed give the same bytes.

    Body, lesions, distractors, noise and mask damage have random streams of their own: another degradation leaves the
    CT as it is.

    Args:
        settings: The population.
        seed: Not negative.

    Raises:
        WorkError: So many lesions or distractors do not fit this body.
    """
    streams = (np.random.Generator(np.random.PCG64(each)) for each in np.random.SeedSequence(seed).spawn(6))
    anatomy, content, pathology, others, scanner, damage_rng = streams
    grid = settings.tier.grid
    canvas = Canvas(grid, settings.tier.body_scale)
    build = Build.draw(anatomy)
    paint_wall(canvas, build, anatomy)
    paint_muscles(canvas, build)
    paint_organs(canvas, build, anatomy)
    paint_bones(canvas, build)

    room = Room.around(canvas, build)
    resting = colon_curve(build, room, anatomy)
    small_bowel = small_bowel_curve(build, room, resting, anatomy)
    paint_mesentery(canvas, build, small_bowel, anatomy)
    paint_hollow(canvas, small_bowel, SMALL_BOWEL, perfused("gut", build), 3.0, float(content.uniform(2.0, 9.0)))

    places = draw_places(settings, float(resting.arc[-1]), pathology)
    filling = draw_filling(resting, content, places)
    radius = draw_radius(resting, filling, canvas, places, content)
    # Loops stay a voxel and a half apart, or they would be one on the grid.
    narrowest = max(PRESSED_MM, SMALLEST_RADIUS_VOXELS * canvas.voxel)
    line = with_room(Tube(resting.points, radius), room, narrowest_mm=narrowest, apart_mm=1.5 * canvas.voxel)
    colon = lay_colon(canvas, line, filling, content)
    texture = draw_texture(grid.shape, canvas.voxel, content)
    paint_colon(canvas, colon, filling, texture)

    mass_hu = colon.wall_hu + float(pathology.uniform(*settings.tier.lesion_above_wall_hu))
    lesion, lesions = grow_lesions(canvas, colon, places, settings, mass_hu, pathology)
    distractors, distractor_list = grow_distractors(
        canvas, build, colon, small_bowel, settings, mass_hu - settings.hu_gap, others
    )
    ct = scan(canvas.ct, texture, settings.tier.spacing_mm, float(scanner.uniform(*settings.noise_hu)), scanner)
    centreline = line.points * canvas.scale
    arcs = [found.position_mm for found in lesions]
    organs, damage = degrade_organs(canvas.organs, lesion, centreline, arcs, grid, settings.degrade, damage_rng)
    return PhantomCase(
        seed, grid, ct, canvas.organs, organs, lesion, distractors, centreline, tuple(lesions), tuple(distractor_list),
        damage,
    )  # fmt: skip
