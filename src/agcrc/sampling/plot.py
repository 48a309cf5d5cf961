"""A picture that compares the samplers on a case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from agcrc.sampling.case import Centres, SamplingCase
from agcrc.sampling.factory import SamplerKind, make_sampler
from agcrc.sampling.measures import Sight, sight
from agcrc.sampling.patches import patch_box
from agcrc.volumes import Triple

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_EPOCHS, _PER_EPOCH = 6, 6  # a third of 6 is a whole number: foreground is at its 33 %
_LABELS: dict[SamplerKind, str] = {
    "uniform": "uniform",
    "foreground": "foreground 33 %",
    "weighted": "weighted crop",
    "guided": "guided",
}
# Okabe and Ito: told apart by colour-blind readers too; the line styles help in print.
_COLOURS: dict[SamplerKind, str] = {
    "uniform": "#555555",
    "foreground": "#E69F00",
    "weighted": "#0072B2",
    "guided": "#009E73",
}
_STYLES: dict[SamplerKind, str] = {"uniform": ":", "foreground": "--", "weighted": "-.", "guided": "-"}
_CORE, _RING, _LESION = "#b5a891", "#dcd6cc", "#CC0033"


def plot_sampling(path: Path, case: SamplingCase, patch: Triple, seed: int) -> None:
    """Draw where uniform, foreground, weighted and guided sampling look, and what they see.

    Each sampler chooses 6 patches in each of 6 epochs. Above: the patches on a coronal projection, seen from the front
    (the patient's right is on the left side); below: curves over the number of patches.

    Args:
        path: PNG to write; its folder is made.
        case: The case.
        patch: Voxels (z, y, x).
        seed: Of the samplers.

    Raises:
        InputError: See `make_sampler`.
    """
    from matplotlib.figure import Figure

    kinds: tuple[SamplerKind, ...] = get_args(SamplerKind)
    # As high as the projection needs: a slab of some slices would else leave most of the upper half empty.
    aspect = case.shape[0] * case.spacing[0] / (case.shape[2] * case.spacing[2])
    height = min(max(3.4 * aspect, 0.8), 7.0) + 1.3
    figure = Figure(figsize=(14, height + 4.3), layout="constrained")
    axes = figure.subplots(2, len(kinds), height_ratios=(height, 3.6))
    sights: dict[SamplerKind, Sight] = {}
    for kind, panel in zip(kinds, axes[0], strict=True):
        sampler = make_sampler(kind, patch, seed=seed)
        centres = np.concatenate([sampler.centres(case, _PER_EPOCH, epoch) for epoch in range(_EPOCHS)])
        sights[kind] = sight(case, centres, patch)
        _draw_patches(panel, case, centres, patch, kind)
    curves = (
        ("OOI inside a patch (%)", {kind: 100 * each.ooi_coverage for kind, each in sights.items()}, 100.0),
        ("patches per lesion voxel", {kind: each.lesion_visits for kind, each in sights.items()}, None),
        ("patch voxels already seen (%)", {kind: 100 * each.overlap for kind, each in sights.items()}, 100.0),
        ("gain F of all importance (%)", {kind: 100 * each.gain for kind, each in sights.items()}, 100.0),
    )
    for panel, (title, lines, top) in zip(axes[1], curves, strict=True):
        _draw_curves(panel, title, lines, top)
    size = " x ".join(f"{length * step:g}" for length, step in zip(patch, case.spacing, strict=True))
    figure.legend(
        handles=_marks(axes[1, 0].get_lines()),
        loc="outside lower center",
        ncols=2 * len(kinds),
        fontsize=9,
        frameon=False,
    )
    figure.suptitle(
        f"{case.name}: {_EPOCHS} epochs of {_PER_EPOCH} patches of {' x '.join(map(str, patch))} voxels ({size} mm)",
        fontsize=13,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=110)


def _draw_patches(panel: Axes, case: SamplingCase, centres: Centres, patch: Triple, kind: SamplerKind) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    step_z, _, step_x = case.spacing
    depth, _, width = case.shape
    extent = (0.0, width * step_x, 0.0, depth * step_z)
    organ = np.max(case.ooi, axis=1) / 2.0
    colours = LinearSegmentedColormap.from_list("ooi", ["#ffffff", _RING, _CORE])
    panel.imshow(organ, origin="lower", extent=extent, cmap=colours, vmin=0, vmax=1, aspect="equal")
    for centre in centres:
        z, _, x = patch_box(centre, patch, case.shape)
        corner = (x.start * step_x, z.start * step_z)
        size = ((x.stop - x.start) * step_x, (z.stop - z.start) * step_z)
        panel.add_patch(Rectangle(corner, *size, fill=False, edgecolor=_COLOURS[kind], linewidth=0.9, alpha=0.55))
    panel.scatter(
        (centres[:, 2] + 0.5) * step_x,
        (centres[:, 0] + 0.5) * step_z,
        s=13,
        color=_COLOURS[kind],
        zorder=3,
        linewidth=0,
    )
    lesion = case.lesion.any(axis=1)
    if lesion.any():
        places = (np.arange(width) + 0.5) * step_x, (np.arange(depth) + 0.5) * step_z
        panel.contourf(*places, lesion.astype(float), levels=[0.5, 1.5], colors=_LESION, alpha=0.55, zorder=2)
    panel.set_xlim(extent[1], 0.0)
    panel.set_ylim(0.0, extent[3])
    hits = sum(bool(lesion_in.any()) for lesion_in in (case.lesion[patch_box(c, patch, case.shape)] for c in centres))
    seen = f"{hits} of {len(centres)} patches hold lesion" if lesion.any() else "no lesion in this case"
    panel.set_title(f"{_LABELS[kind]}\n{seen}", color=_COLOURS[kind], fontsize=11)
    panel.set_xlabel("right  <-  mm  ->  left")
    if kind == "uniform":
        panel.set_ylabel("mm (towards the head)")


def _marks(lines: list[Line2D]) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Patch(color=_CORE, label="organ core"),
        Patch(color=_RING, label="ring"),
        Patch(color=_LESION, alpha=0.55, label="lesion"),
        Line2D([], [], color="#777777", marker="o", markersize=4, label="patch and its centre"),
        *lines,
    ]


def _draw_curves(panel: Axes, title: str, lines: dict[SamplerKind, np.ndarray], top: float | None) -> None:
    panel.set_title(title, fontsize=11)
    for kind, values in lines.items():
        panel.plot(
            np.arange(1, len(values) + 1),
            values,
            _STYLES[kind],
            color=_COLOURS[kind],
            label=_LABELS[kind],
            linewidth=1.8,
        )
    if all(np.isnan(values).all() for values in lines.values()):
        panel.text(0.5, 0.5, "none in this case", transform=panel.transAxes, ha="center", va="center", color="#777777")
        panel.set_yticks([])
    panel.set_xlim(1, _EPOCHS * _PER_EPOCH)
    panel.set_xlabel("patches")
    panel.set_ylim(0, top and top * 1.02)
    panel.grid(alpha=0.3)
