"""The frame of the body: build, outline, abdominal wall, cavity and bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agcrc.phantom.canvas import Canvas, Floats
from agcrc.phantom.labels import LABELS
from agcrc.phantom.shapes import Ellipsoid, Point, Waves, turned
from agcrc.phantom.tubes import tube

SKIN_MM = 2.5
FAT_HU, VISCERAL_FAT_HU, MUSCLE_HU, SKIN_HU = -108.0, -98.0, 58.0, 10.0
CORTEX_HU, TRABECULAR_HU, MARROW_HU, DISC_HU = 520.0, 210.0, 120.0, 85.0
TYPICAL_HALF_WIDTH_MM, TYPICAL_HALF_DEPTH_MM = 160.0, 112.0


@dataclass(frozen=True, eq=False)
class Build:
    """What one body is like; lengths in body mm.

    Attributes:
        half_width: From the middle to the skin at the side, at the navel.
        half_depth: From the middle to the skin in front.
        fat: Thickness of the fat below the skin.
        muscle: Thickness of the abdominal wall.
        height: Factor on heights.
        male: Prostate, or uterus.
        contrast: Enhancement of organs and vessels, 0 to 1 (1 is a portal-venous phase).
        bend: Waves that the skin and the wall follow.
    """

    half_width: float
    half_depth: float
    fat: float
    muscle: float
    height: float
    male: bool
    contrast: float
    bend: Waves

    @staticmethod
    def draw(rng: np.random.Generator) -> Build:
        """A body that fits the field of view."""
        return Build(
            half_width=float(rng.uniform(154.0, 170.0)),
            half_depth=float(rng.uniform(106.0, 120.0)),
            fat=float(rng.uniform(12.0, 24.0)),
            muscle=float(rng.uniform(9.0, 13.0)),
            height=float(rng.uniform(0.97, 1.0)),
            male=bool(rng.random() < 0.55),
            contrast=float(rng.uniform(0.6, 1.0)),
            bend=Waves.draw(rng, 150.0, 260.0),
        )

    def place(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points drawn for a typical body, moved to where they lie in this one; (..., 3) in (x, y, z)."""
        factors = (self.half_width / TYPICAL_HALF_WIDTH_MM, self.half_depth / TYPICAL_HALF_DEPTH_MM, self.height)
        placed: NDArray[np.float64] = np.asarray(points, dtype=np.float64) * np.array(factors)
        return placed

    def at(self, x: float, y: float, z: float) -> Point:
        """One point, placed."""
        moved = self.place((x, y, z))
        return float(moved[0]), float(moved[1]), float(moved[2])

    def outline(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Signed distance to the skin, negative inside."""
        heights = (-190.0, -120.0, -60.0, 30.0, 110.0, 190.0)
        wide = np.interp(z, heights, (1.0, 1.03, 1.01, 0.96, 0.97, 0.99)).astype(np.float32) * self.half_width
        deep = np.interp(z, heights, (0.88, 0.97, 1.0, 0.97, 0.97, 1.0)).astype(np.float32) * self.half_depth
        return _ellipse(x, y, wide, deep) + np.float32(2.5) * self.bend(x, y, z)

    def cavity(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Signed distance to the inside of abdominal wall and pelvic floor, negative inside."""
        wall = SKIN_MM + self.fat + self.muscle
        heights = np.array((-192.0, -168.0, -140.0, -105.0, -70.0, -35.0, 192.0)) * self.height
        full_wide, full_deep = self.half_width * 0.965 - wall, self.half_depth * 0.97 - wall
        wide = np.interp(z, heights, (10.0, 24.0, 48.0, 60.0, 84.0, full_wide, full_wide)).astype(np.float32)
        deep = np.interp(z, heights, (10.0, 28.0, 52.0, 70.0, 78.0, full_deep, full_deep)).astype(np.float32)
        middle = np.interp(z, heights, (-64.0, -34.0, -14.0, -6.0, -2.0, 0.0, 0.0)).astype(np.float32)
        return _ellipse(x, y - middle, wide, deep) + np.float32(2.5) * self.bend(x, y, z)


def _ellipse(x: Floats, y: Floats, wide: Floats | np.float32, deep: Floats | np.float32) -> Floats:
    level = np.maximum(np.sqrt((x / wide) ** 2 + (y / deep) ** 2), np.float32(1e-3))
    slope = np.sqrt((x / wide**2) ** 2 + (y / deep**2) ** 2)
    found = level * (level - 1) / np.maximum(slope, np.float32(1e-3) / wide)
    return np.asarray(found, dtype=np.float32)


def paint_wall(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    """Skin, fat below it, muscle with fat planes, and the fat of the cavity."""
    here = canvas.everywhere
    mesh = canvas.mesh(here)
    outline = build.outline(*mesh)
    canvas.fill(here, outline, SKIN_HU)
    canvas.fill(here, outline + SKIN_MM, FAT_HU)
    muscle = outline + np.float32(SKIN_MM + build.fat)
    # Fat lies in sheets between the muscles of back and buttocks; the wall in front has hardly any.
    behind = np.clip((-mesh[1] - 10.0) / 30.0, 0.0, 1.0)
    sheets = behind * 4.5 - 3.0 - 16.0 * np.abs(Waves.draw(rng, 45.0, 80.0)(*mesh))
    canvas.fill(here, np.maximum(muscle, sheets), MUSCLE_HU)
    canvas.fill(here, build.cavity(*mesh), VISCERAL_FAT_HU)


def paint_muscles(canvas: Canvas, build: Build) -> None:
    """Back muscles and psoas on both sides."""
    for side, name in ((-1.0, "left"), (1.0, "right")):
        back = [(side * 30, -82, 200), (side * 34, -80, 60), (side * 36, -82, -30), (side * 22, -92, -80)]
        tube(build.place(back), (22.0, 25.0, 25.0, 12.0)).paint(canvas, MUSCLE_HU - 3.0, LABELS[f"autochthon_{name}"])
        psoas = [
            (side * 25, -44, 120),
            (side * 37, -42, 40),
            (side * 52, -24, -30),
            (side * 76, 8, -90),
            (side * 88, 22, -150),
        ]
        tube(build.place(psoas), (8.0, 17.0, 21.0, 19.0, 13.0)).paint(canvas, MUSCLE_HU, LABELS[f"iliopsoas_{name}"])


def paint_bones(canvas: Canvas, build: Build) -> None:
    """Lumbar spine, sacrum, hips, upper ends of the femurs and the lower ribs."""
    _paint_spine(canvas, build)
    for side, name in ((-1.0, "left"), (1.0, "right")):
        _paint_hip(canvas, build, side, name)
        for rib in range(9, 13):
            top = 250.0 - (rib - 7) * 30.0
            angles = np.linspace(0.0, (1.35, 1.9, 2.3, 2.6)[12 - rib], 8)
            wide = build.half_width * 0.965 - SKIN_MM - build.fat - 4.0
            deep = build.half_depth * 0.97 - SKIN_MM - build.fat - 4.0
            arc = [
                (side * wide * np.sin(0.35 + t), -deep * np.cos(0.35 + t), (top - 24.0 * t) * build.height)
                for t in angles
            ]
            tube(arc, 5.0).paint(canvas, CORTEX_HU * 0.6, LABELS[f"rib_{name}_{rib}"])


def _bone(canvas: Canvas, shape: Ellipsoid, label: int, shell: float = 3.0) -> None:
    """A cortical shell around trabecular bone."""
    shape.paint(canvas, CORTEX_HU, label)
    inner = tuple(max(1.0, axis - shell) for axis in shape.axes)
    Ellipsoid(shape.centre, (inner[0], inner[1], inner[2]), shape.turn).paint(canvas, TRABECULAR_HU, label)


def _paint_spine(canvas: Canvas, build: Build) -> None:
    levels = (("T11", 176.0), ("T12", 141.0), ("L1", 106.0), ("L2", 71.0), ("L3", 36.0), ("L4", 2.0), ("L5", -30.0))
    curve = tube(build.place([(0, -60, 200), (0, -52, 106), (0, -46, 36), (0, -48, -6), (0, -56, -52)]), 17.0)
    curve.paint(canvas, DISC_HU)
    front = {
        name: float(np.interp(height, (-30, 2, 36, 106, 176), (-50, -47, -46, -52, -58))) for name, height in levels
    }
    for name, height in levels:
        label = LABELS[f"vertebrae_{name}"]
        tilt = float(np.interp(height, (-30, 36, 176), (14.0, 0.0, -6.0)))
        x, y, z = build.at(0, front[name], height)
        box = canvas.box(np.array((x - 50, y - 62, z - 32)), np.array((x + 50, y + 30, z + 32)))
        mesh = canvas.mesh(box)
        lean = np.float32(np.tan(np.radians(tilt)))
        upright = np.abs(mesh[2] - z - lean * (mesh[1] - y)) - np.float32(13.5)
        across = _ellipse(mesh[0] - x, mesh[1] - y, np.float32(23.0), np.float32(17.5))
        canvas.fill(box, np.maximum(across, upright), CORTEX_HU * 0.8, label)
        canvas.fill(box, np.maximum(across + 2.5, upright + 2.5), TRABECULAR_HU, label)
        for part in (
            Ellipsoid((x, y - 46, z - 8), (3.5, 17.0, 10.0)),
            Ellipsoid((x - 33, y - 24, z), (19.0, 4.5, 6.0)),
            Ellipsoid((x + 33, y - 24, z), (19.0, 4.5, 6.0)),
            Ellipsoid((x - 13, y - 22, z), (5.0, 10.0, 9.0)),
            Ellipsoid((x + 13, y - 22, z), (5.0, 10.0, 9.0)),
            Ellipsoid((x, y - 33, z - 3), (16.0, 5.0, 9.0)),
        ):
            part.paint(canvas, CORTEX_HU * 0.75, label)
    canal = [(0, -81, 200), (0, -75, 106), (0, -69, 36), (0, -70, -6), (0, -80, -52), (0, -96, -90)]
    tube(build.place(canal), (8.5, 8.5, 8.5, 8.5, 7.0, 4.0)).paint(canvas, 25.0, LABELS["spinal_cord"])
    # Height, depth, half-axes: five fused vertebrae that narrow, then the coccyx.
    for height, y, axes, tilt in (
        (-58.0, -64.0, (50.0, 17.0, 16.0), 30.0),
        (-80.0, -78.0, (46.0, 13.0, 15.0), 35.0),
        (-100.0, -88.0, (38.0, 10.0, 14.0), 20.0),
        (-119.0, -92.0, (27.0, 8.0, 13.0), 0.0),
        (-136.0, -90.0, (17.0, 7.0, 11.0), -20.0),
        (-151.0, -83.0, (8.0, 5.5, 10.0), -40.0),
    ):
        _bone(canvas, Ellipsoid(build.at(0, y, height), axes, turned(about_x=tilt)), LABELS["sacrum"], 3.5)


def _paint_hip(canvas: Canvas, build: Build, side: float, name: str) -> None:
    hip, femur = LABELS[f"hip_{name}"], LABELS[f"femur_{name}"]
    # The wing of the ilium: thin across, from the sacrum outwards to the front, leaning out at its top.
    along = np.array((side * 0.60, 0.80, 0.05))
    up = np.array((side * 0.34, -0.22, 0.90))
    along /= np.linalg.norm(along)
    up = up - (up @ along) * along
    up /= np.linalg.norm(up)
    turn = np.stack([np.cross(along, up), along, up], axis=1)
    wing = Ellipsoid(build.at(side * 92, -26, -46), (7.5, 64.0, 54.0), turn)
    wing.paint(canvas, CORTEX_HU, hip)
    Ellipsoid(wing.centre, (3.5, 60.0, 50.0), turn).paint(canvas, TRABECULAR_HU, hip)
    for line, radii in (
        (((side * 82, -22, -86), (side * 84, -8, -118), (side * 84, 0, -140)), (14.0, 24.0, 18.0)),
        (((side * 80, -22, -128), (side * 66, -42, -160), (side * 52, -36, -182)), (15.0, 13.0, 10.0)),
        (((side * 82, 14, -128), (side * 48, 34, -142), (side * 12, 44, -154)), (13.0, 9.0, 10.0)),
        (((side * 14, 42, -160), (side * 34, 14, -176), (side * 50, -22, -186)), (8.0, 7.0, 8.0)),
    ):
        ring = tube(build.place(line), radii)
        ring.paint(canvas, CORTEX_HU, hip)
        type(ring)(ring.points, ring.radius - 3.5).paint(canvas, MARROW_HU, hip)
    Ellipsoid(build.at(side * 97, 0, -130), (29.0, 29.0, 29.0)).paint(canvas, MUSCLE_HU)
    neck = tube(
        build.place([(side * 100, 0, -130), (side * 122, -6, -150), (side * 130, -8, -172)]), (17.0, 14.0, 17.0)
    )
    shaft = tube(build.place([(side * 128, -8, -150), (side * 132, -8, -200)]), (18.0, 16.0))
    for part in (neck, shaft):
        part.paint(canvas, CORTEX_HU, femur)
        type(part)(part.points, part.radius - 4.0).paint(canvas, MARROW_HU, femur)
    _bone(canvas, Ellipsoid(build.at(side * 98, 0, -130), (24.0, 24.0, 24.0)), femur)
