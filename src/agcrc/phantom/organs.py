"""Lung bases, solid and hollow organs of abdomen and pelvis, and the large vessels."""

from __future__ import annotations

import numpy as np

from agcrc.phantom.body import Build
from agcrc.phantom.canvas import Canvas
from agcrc.phantom.labels import LABELS
from agcrc.phantom.shapes import Ellipsoid, Point, Waves, turned
from agcrc.phantom.tubes import Tube, tube, voxels_near

LUNG_HU, GAS_HU, WATER_HU = -830.0, -950.0, 8.0
PERFUSED_HU = {
    # Plain value and what full enhancement adds.
    "liver": (55.0, 55.0),
    "spleen": (48.0, 70.0),
    "kidney": (32.0, 150.0),
    "pancreas": (42.0, 55.0),
    "vessel": (42.0, 120.0),
    "gut": (40.0, 40.0),
    "uterus": (45.0, 50.0),
}


def perfused(tissue: str, build: Build) -> float:
    """Grey value of a tissue in a body's contrast phase, HU."""
    plain, gain = PERFUSED_HU[tissue]
    return plain + gain * build.contrast


def paint_organs(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    """All organs but the bowel, which is laid around them."""
    domes = (
        Ellipsoid(_shift(build.at(72, 4, 96), rng), (90.0, 96.0, 84.0)),
        Ellipsoid(_shift(build.at(-74, 4, 96), rng), (84.0, 94.0, 76.0)),
    )
    _paint_lungs(canvas, build, domes)
    _paint_liver(canvas, build, domes[0], rng)
    spleen = Ellipsoid(_shift(build.at(-98, -36, 136), rng), _size((29.0, 52.0, 50.0), rng), turned(about_z=-30.0))
    _paint_inside(canvas, build, spleen, perfused("spleen", build), LABELS["spleen"])
    _paint_kidneys(canvas, build, rng)
    _paint_stomach(canvas, build, rng)
    pancreas = build.place([(34, 18, 84), (16, 20, 94), (-14, 14, 106), (-48, -4, 114), (-74, -22, 120)])
    tube(pancreas, (15.0, 11.0, 10.0, 9.0, 7.0)).paint(canvas, perfused("pancreas", build), LABELS["pancreas"])
    Ellipsoid(_shift(build.at(56, 48, 84), rng), (14.0, 22.0, 18.0), turned(about_x=-30.0)).paint(
        canvas, WATER_HU, LABELS["gallbladder"]
    )
    _paint_pelvis(canvas, build, rng)
    _paint_vessels(canvas, build)


def _shift(centre: Point, rng: np.random.Generator, mm: float = 3.0) -> Point:
    moved = np.array(centre) + rng.normal(0.0, mm, 3)
    return float(moved[0]), float(moved[1]), float(moved[2])


def _size(axes: Point, rng: np.random.Generator) -> Point:
    scaled = np.array(axes) * rng.uniform(0.92, 1.08, 3)
    return float(scaled[0]), float(scaled[1]), float(scaled[2])


def _paint_inside(canvas: Canvas, build: Build, shape: Ellipsoid, hu: float, label: int) -> None:
    """An ellipsoid, as far as it lies within the cavity."""
    reach = max(shape.axes)
    box = canvas.box(np.array(shape.centre) - reach, np.array(shape.centre) + reach)
    mesh = canvas.mesh(box)
    canvas.fill(box, np.maximum(shape.distance(*mesh), build.cavity(*mesh) + 2.0), hu, label)


def _paint_lungs(canvas: Canvas, build: Build, domes: tuple[Ellipsoid, Ellipsoid]) -> None:
    box = canvas.box(np.array((-200.0, -200.0, 95.0)), np.array((200.0, 200.0, 200.0)))
    mesh = canvas.mesh(box)
    chest = np.maximum(build.cavity(*mesh) + 1.0, 110.0 - mesh[2])
    for dome in domes:
        chest = np.maximum(chest, 3.0 - dome.distance(*mesh))
    middle = Ellipsoid(build.at(-8, 6, 176), (40.0, 88.0, 62.0)).distance(*mesh)
    lungs = np.maximum(chest, 2.0 - middle)
    heart = np.maximum(Ellipsoid(build.at(-26, 44, 212), (58.0, 46.0, 40.0)).distance(*mesh), chest)
    for side, name in ((1.0, "right"), (-1.0, "left")):
        canvas.fill(box, np.maximum(lungs, -side * mesh[0]), LUNG_HU, LABELS[f"lung_lower_lobe_{name}"])
    canvas.fill(box, heart, perfused("vessel", build) * 0.9, LABELS["heart"])


def _paint_liver(canvas: Canvas, build: Build, dome: Ellipsoid, rng: np.random.Generator) -> None:
    box = canvas.box(np.array((-110.0, -140.0, 20.0)), np.array((200.0, 140.0, 200.0)))
    mesh = canvas.mesh(box)
    bumps = Waves.draw(rng, 60.0, 110.0)(*mesh) * np.float32(3.0)
    # The lower face rises from the right side to the left lobe and from back to front.
    lower = 112.0 - np.float32(0.52) * (mesh[0] - 30.0) - mesh[2] + np.float32(rng.normal(0.0, 4.0))
    right = np.maximum(dome.distance(*mesh), lower * np.float32(0.88))
    left = Ellipsoid(build.at(-14, 50, 142), (72.0, 38.0, 30.0), turned(about_y=8.0)).distance(*mesh)
    back = Ellipsoid(build.at(-20, -62, 120), (66.0, 60.0, 200.0)).distance(*mesh)
    shape = np.maximum(np.maximum(np.minimum(right, left), -back), build.cavity(*mesh) + 2.0)
    canvas.fill(box, shape + bumps, perfused("liver", build), LABELS["liver"])
    for line in (
        [(18, 8, 108), (40, 14, 126), (70, 6, 138), (100, -6, 142)],
        [(40, 14, 126), (60, 40, 142), (78, 56, 148)],
        [(18, -18, 172), (46, 2, 160), (84, 22, 158)],
    ):
        tube(build.place(line), (6.0, 5.0, 4.0, 2.5)[: len(line)]).paint(canvas, perfused("vessel", build))


def _paint_kidneys(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    for side, name, height in ((1.0, "right", 72.0), (-1.0, "left", 84.0)):
        centre = _shift(build.at(side * 62, -48, height), rng)
        turn = turned(about_x=-12.0, about_y=side * 12.0, about_z=side * 35.0)
        axes = _size((26.0, 29.0, 53.0), rng)
        label = LABELS[f"kidney_{name}"]
        Ellipsoid(centre, axes, turn).paint(canvas, perfused("kidney", build), label)
        hilum = np.array(centre) + np.array((-side * 10.0, 8.0, 0.0))
        inner = Ellipsoid((float(hilum[0]), float(hilum[1]), float(hilum[2])), (12.0, 13.0, 28.0), turn)
        inner.paint(canvas, -25.0, label)


def _paint_stomach(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    line = [(-58, -14, 156), (-64, 16, 138), (-54, 44, 112), (-24, 58, 100), (8, 50, 98), (26, 36, 100)]
    radii = np.array((27.0, 30.0, 25.0, 19.0, 15.0, 9.0)) * rng.uniform(0.9, 1.05)
    paint_hollow(
        canvas,
        tube(build.place(line), radii),
        LABELS["stomach"],
        perfused("gut", build),
        4.0,
        float(rng.normal(8.0, 8.0)),
    )
    duodenum = [(26, 36, 100), (42, 20, 104), (52, 2, 88), (48, -6, 62), (24, -4, 48), (-6, 0, 50), (-28, 8, 58)]
    paint_hollow(
        canvas, tube(build.place(duodenum), (9.0, 12.0, 12.5, 12.0, 10.5, 9.5, 9.0)), LABELS["duodenum"],
        perfused("gut", build), 3.0, 20.0,
    )  # fmt: skip


def paint_hollow(canvas: Canvas, line: Tube, label: int, wall_hu: float, wall_mm: float, gas_above_mm: float) -> None:
    """A tube with a wall, fluid, and gas above the fluid: the patient lies on the back, so gas is in front.

    Args:
        canvas: Painted on.
        line: The tube; its radius is that of the outside.
        label: Of wall and content.
        wall_hu: Grey value of the wall.
        wall_mm: Thickness of the wall in body mm.
        gas_above_mm: Height of the fluid's surface above the curve's own.
    """
    found = voxels_near(line, canvas, float(line.radius.max()) + canvas.voxel)
    outside = found.distance - line.radius[found.nearest].astype(np.float32)
    canvas.fill(found.where, outside, wall_hu, label)
    canvas.fill(found.where, outside + wall_mm, 22.0, label)
    rise = canvas.points(found.where)[:, 1] - line.points[found.nearest, 1].astype(np.float32)
    canvas.fill(found.where, np.maximum(outside + wall_mm, gas_above_mm - rise), GAS_HU, label)


def _paint_pelvis(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    axes = _size((34.0, 27.0, 25.0), rng)
    Ellipsoid(build.at(0, 24, -126), (axes[0] + 3, axes[1] + 3, axes[2] + 3)).paint(
        canvas, 45.0, LABELS["urinary_bladder"]
    )
    Ellipsoid(build.at(0, 24, -126), axes).paint(canvas, WATER_HU, LABELS["urinary_bladder"])
    if build.male:
        Ellipsoid(build.at(0, 6, -162), (23.0, 17.0, 16.0)).paint(canvas, 62.0, LABELS["prostate"])
        for side in (-1.0, 1.0):
            Ellipsoid(build.at(side * 14, -12, -142), (15.0, 5.0, 8.0)).paint(canvas, 50.0)
    else:
        # Uterus and vagina have no number among TotalSegmentator's classes.
        tube(build.place([(0, 2, -92), (0, -13, -118), (0, -14, -165)]), (24.0, 13.0, 8.0)).paint(
            canvas, perfused("uterus", build)
        )
    # Levator ani and the muscles around the anal canal.
    for side in (-1.0, 1.0):
        tube(build.place([(side * 46, 8, -140), (side * 24, -24, -164), (side * 10, -58, -178)]), 5.0).paint(
            canvas, 52.0
        )


def _paint_vessels(canvas: Canvas, build: Build) -> None:
    hu = perfused("vessel", build)
    lines: list[tuple[str, list[tuple[float, float, float]], tuple[float, ...]]] = [
        ("aorta", [(-12, -26, 200), (-9, -24, 110), (-5, -20, 40), (-3, -20, 2)], (11.0, 10.5, 9.5, 9.0)),
        ("iliac_artery_left", [(-6, -20, 2), (-26, -22, -40), (-50, -8, -90), (-64, 34, -140), (-68, 46, -200)],
         (6.5, 6.0, 5.0, 5.0, 5.0)),
        ("iliac_artery_right", [(2, -20, 2), (24, -22, -40), (50, -8, -90), (64, 34, -140), (68, 46, -200)],
         (6.5, 6.0, 5.0, 5.0, 5.0)),
        ("inferior_vena_cava", [(20, -14, 190), (19, -20, 110), (16, -22, 40), (13, -24, -8)],
         (12.0, 12.0, 11.0, 11.0)),
        ("iliac_vena_left", [(11, -25, -8), (-22, -34, -48), (-46, -20, -92), (-56, 26, -142), (-60, 38, -200)],
         (8.0, 7.0, 6.5, 6.0, 6.0)),
        ("iliac_vena_right", [(15, -25, -8), (28, -34, -48), (46, -20, -92), (56, 26, -142), (60, 38, -200)],
         (8.0, 7.0, 6.5, 6.0, 6.0)),
        ("portal_vein_and_splenic_vein", [(24, 8, 116), (12, 8, 98), (-16, 4, 108), (-56, -16, 118), (-84, -30, 126)],
         (7.5, 7.0, 5.0, 4.5, 4.0)),
    ]  # fmt: skip
    for name, line, radii in lines:
        tube(build.place(line), radii).paint(canvas, hu, LABELS[name])
    for side, height in ((1.0, 72.0), (-1.0, 84.0)):
        tube(build.place([(side * 8, -22, height), (side * 48, -40, height)]), 4.0).paint(canvas, hu)


def paint_mesentery(canvas: Canvas, build: Build, small_bowel: Tube, rng: np.random.Generator) -> None:
    """The superior mesenteric vessels and their branches to the small bowel; no label."""
    trunk = np.array([(-2, -14, 92), (4, 6, 70), (6, 12, 20), (14, 12, -30)], dtype=np.float64)
    hu = perfused("vessel", build)
    tube(build.place(trunk), (4.5, 4.5, 4.0, 2.5)).paint(canvas, hu)
    for share in np.linspace(0.06, 0.94, 12):
        end = small_bowel.points[round(share * (len(small_bowel.points) - 1))]
        start = build.place(trunk[1] + (trunk[3] - trunk[1]) * share)
        middle = (start + end) / 2 + rng.normal(0.0, 5.0, 3)
        tube([start, middle, end], (2.4, 2.0, 1.4)).paint(canvas, hu)
