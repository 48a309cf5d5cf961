"""The plan of a training run: all that was decided from the data, in a file that a person can read and change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy import ClassMap, Ooi, OoiSettings, Organs, choose_radius, load_class_map, organ_of_interest
from agcrc.anatomy.radius import LARGEST_MM
from agcrc.errors import InputError, Problem
from agcrc.volumes import Spacing, Volume, read_ct, read_labels, require_same_grid
from agcrc.volumes.dataset import Case, Dataset

PLAN_FILE = "plan.json"
FORMAT = 1
Progress = Callable[[int, int], None]

GAS_HU = -200.0
"""What is darker in the organ of interest is gas, which tells no lesion from a wall."""
SAMPLED_VOXELS = 20_000
USUAL_RADIUS_MM = 15.0

CPU_PATCH, GPU_PATCH = 32, 96
CPU_FEATURES, GPU_FEATURES = (16, 32, 64, 128), (32, 64, 128, 256, 320)
CPU_BLOCKS, GPU_BLOCKS = (1, 1, 2, 2), (1, 3, 4, 4, 4)


class Intensity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HU are clipped to [low, high] and then scaled to mean 0 and deviation 1."""

    low: float
    high: float
    mean: float
    deviation: float


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """See the module.

    Attributes:
        format: Version of this file.
        dataset: Name of the dataset.
        class_map: How its organ masks are numbered.
        spacing_mm: Voxel size of training and prediction, (z, y, x).
        patch: Voxels, (z, y, x).
        batch: Patches in a step.
        network: `resenc`, or a network of MONAI by name.
        features: Widths of `resenc`, the finest first.
        blocks: Residual blocks of its encoder.
        intensity: How HU are scaled.
        ooi_radius_mm: Dilation of the organ of interest, chosen on the training cases.
        sampler: Where patches are drawn: `guided` (anatomy), `foreground` (a third on lesions, as nnU-Net), `uniform`,
            `weighted` (more in the organ of interest).
        loss: `masked` (soft edge), `ignore` (nothing outside the organ of interest counts), `plain` (everything does).
        organ_channel: The distance from the organ's core as a second input.
        organ_dropout: Share of patches in which that channel is blank, so that the network does not lean on it alone.
        patches_per_case: Drawn from each case in an epoch.
        epochs: Passes.
        learning_rate: At the start; falls to 0 by (1 − t)^0.9.
        weight_decay: Of AdamW.
        precision: `auto` takes bfloat16 where the device computes in it, else float32.
        validation_cases: Training cases held out for the early look.
        seed: Of weights, sampling and augmentation.
    """

    format: int = FORMAT
    dataset: str
    class_map: str
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    batch: int
    network: str = "resenc"
    features: tuple[int, ...]
    blocks: tuple[int, ...]
    intensity: Intensity
    ooi_radius_mm: float
    sampler: Literal["guided", "foreground", "uniform", "weighted"] = "guided"
    loss: Literal["masked", "ignore", "plain"] = "masked"
    organ_channel: bool = False
    organ_dropout: float = 0.1
    patches_per_case: int = 4
    epochs: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    validation_cases: tuple[str, ...] = ()
    seed: int = 0

    @property
    def channels(self) -> int:
        """Of the network's input."""
        return 2 if self.organ_channel else 1

    def prepared_hash(self) -> str:
        """What prepared cases depend on; they can be used again where this is the same."""
        parts = (self.class_map, self.spacing_mm, self.ooi_radius_mm)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]

    def model_hash(self) -> str:
        """What the weights of a network fit."""
        parts = (self.network, self.features, self.blocks, self.channels, self.patch)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]


def make_plan(
    dataset: Dataset, *, device: str, epochs: int | None = None, seed: int = 0, progress: Progress | None = None
) -> Plan:
    """Derive a plan from the training cases.

    Spacing: the median over the cases, rounded to a tenth, cubic where it is nearly so. Patch, batch and widths: what
    two CPU cores or one GPU train in reasonable time. Intensity: percentiles 0.5 and 99.5 and moments of the tissue in
    the organ of interest. Radius: the smallest that holds the lesions of the training cases (specs/agcrc.md, 1).

    Args:
        dataset: With organ masks and labels.
        device: `cpu` or `cuda`.
        epochs: Instead of the default.
        seed: Of the run.
        progress: Called with (done, of).

    Raises:
        InputError: A case can't be used; all of them are named.
    """
    usable = [case for case in dataset.training if case.label is not None and case.organs is not None]
    if len(usable) < 2:
        raise InputError(
            Problem(
                f"{len(usable)} of {len(dataset.training)} training cases have a label and an organ mask.",
                "At least 2 are needed, one of them for the early look.",
                str(dataset.folder),
            )
        )
    class_map = load_class_map(dataset.class_map)
    spacings: list[Spacing] = []
    values: list[NDArray[np.float32]] = []

    def each_case() -> Iterator[tuple[Ooi, NDArray[np.bool_]]]:
        """One after the other, so that memory is that of a case and not of the dataset."""
        problems: list[Problem] = []
        for number, case in enumerate(usable):
            try:
                ct, organs, lesion = read_case(case, class_map)
                ooi = organ_of_interest(organs, ct=ct, settings=OoiSettings(radius_mm=LARGEST_MM))
            except InputError as error:
                problems += [replace(problem, file=problem.file or case.name) for problem in error.problems]
                continue
            spacings.append(ct.grid.spacing)
            tissue = ct.array[(ooi.core_distance_mm <= USUAL_RADIUS_MM) & (ct.array > GAS_HU)]
            values.append(tissue[:: max(1, tissue.size // SAMPLED_VOXELS)])
            yield ooi, lesion
            if progress:
                progress(number + 1, len(usable))
        if problems:
            raise InputError(*problems)

    radius_mm = float(choose_radius(each_case()).radius_mm)
    spacing = np.round(np.median(np.array(spacings), axis=0), 1)
    if spacing.max() / spacing.min() < 1.3:
        spacing[:] = round(float(spacing.mean()), 1)
    hu = np.concatenate(values)
    if not hu.size:
        raise InputError(
            Problem(
                f"no colon and no abdomen are in view in any of {len(usable)} training cases.",
                "Check that the organ masks are those of the CTs.",
                str(dataset.folder),
            )
        )
    low, high = np.percentile(hu, [0.5, 99.5])
    clipped = np.clip(hu, low, high)
    gpu = device.startswith("cuda")
    held = max(1, round(0.1 * len(usable)))
    return Plan(
        dataset=dataset.name,
        class_map=dataset.class_map,
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        patch=(GPU_PATCH,) * 3 if gpu else (CPU_PATCH,) * 3,
        batch=4 if gpu else 2,
        features=GPU_FEATURES if gpu else CPU_FEATURES,
        blocks=GPU_BLOCKS if gpu else CPU_BLOCKS,
        intensity=Intensity(
            round(float(low), 1), round(float(high), 1), round(float(clipped.mean()), 2), round(float(clipped.std()), 2)
        ),
        ooi_radius_mm=radius_mm,
        organ_channel=True,  # the largest single gain of the experiment (docs/results/agcrc.md)
        epochs=epochs or (500 if gpu else 40),
        validation_cases=tuple(case.name for case in usable[:: max(1, len(usable) // held)][:held]),
        seed=seed,
    )


def read_case(case: Case, class_map: ClassMap) -> tuple[Volume, Organs, NDArray[np.bool_]]:
    """CT, organs and lesions of a training case, on one grid.

    Raises:
        InputError: They are on different grids, or one can't be read.
    """
    assert case.organs is not None
    ct, labels = read_ct(case.image), read_labels(case.organs)
    require_same_grid(ct, labels, (str(case.image), str(case.organs)))
    lesion = np.zeros(ct.grid.shape, dtype=bool)
    if case.label is not None:
        truth = read_labels(case.label)
        require_same_grid(ct, truth, (str(case.image), str(case.label)))
        lesion = truth.array > 0
    return ct, Organs(labels, class_map), lesion


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        InputError: It can't be read, or a value is not possible.
    """
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise InputError(Problem(f"can't be read: {error.strerror}.", "", str(path))) from error
    except msgspec.MsgspecError as error:
        raise InputError(Problem(f"is no plan: {error}.", "Make one with `agcrc train`.", str(path))) from error
    problems = [
        Problem(message, "", str(path))
        for wrong, message in (
            (plan.format != FORMAT, f"has format {plan.format}; this version reads {FORMAT}."),
            (min(plan.spacing_mm) < 0.3 or max(plan.spacing_mm) > 10, f"spacing {plan.spacing_mm} mm is out of range."),
            (min(plan.patch) < 8, f"patch {plan.patch} is smaller than 8 voxels."),
            (
                plan.batch < 1 or plan.epochs < 1 or plan.patches_per_case < 1,
                "batch, epochs and patches must be positive.",
            ),
            (not 0 < plan.learning_rate < 1, f"learning rate {plan.learning_rate} is out of range."),
            (not 0 <= plan.organ_dropout <= 1, f"organ dropout {plan.organ_dropout} is no share."),
            (not 0 <= plan.ooi_radius_mm <= 60, f"radius {plan.ooi_radius_mm} mm is out of range."),
            (plan.intensity.high <= plan.intensity.low or plan.intensity.deviation <= 0, "intensity is no range."),
            (len(plan.features) != len(plan.blocks), "features and blocks differ in number."),
        )
        if wrong
    ]
    if problems:
        raise InputError(*problems)
    return plan
