"""How long the anatomy-guided sampler takes, against greedy selection without its shortcuts.

    OMP_NUM_THREADS=1 python bench/sampling_speed.py [--json FILE]

All choose patches on the same coarse grid, from the same map, by the same gain (specs/agcrc.md, section 2), without the
diversity term, so that they must come to the same set:

- naive: after each choice the gain of every candidate is reckoned by itself, as a sum over its box.
- table: after each choice an integral image is made anew and the gains of all candidates come out of one numpy call.
- heap: CELF as published, a heap of upper bounds and one candidate at a time.
- lazy: what `agcrc.sampling` does.

The cases are synthetic: a bent tube of 25 mm radius with a lesion of 14 mm radius in its wall, on the grids of the two
training tiers. `first` is the time of a case's first epoch, which reckons its importance; `next` that of a later one.
At the end a pretended training (matrix products) runs with and without preparation in the background.
"""

from __future__ import annotations

import argparse
import heapq
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt

from _common import BenchmarkError, markdown_table, report, write_json
from agcrc.sampling import BackgroundCentres, GainSettings, SamplingCase, make_sampler
from agcrc.sampling.importance import block_sums, importance
from agcrc.sampling.lattice import Lattice, lattice_of
from agcrc.sampling.residual import Residual
from agcrc.sampling.selection import lazy_greedy

SETTINGS = GainSettings()
TIERS = {"cpu": ((96, 80, 96), 4.0, 32), "gpu": ((192, 160, 192), 2.0, 96)}
CORNERS = ((0.12, 0.4, 0.72), (0.3, 0.4, 0.8), (0.75, 0.45, 0.8), (0.72, 0.7, 0.5), (0.78, 0.45, 0.2))
CORNERS += ((0.35, 0.4, 0.2), (0.25, 0.6, 0.35), (0.22, 0.4, 0.5), (0.1, 0.3, 0.5))
STEP_SECONDS = 0.22  # of one training step of the cpu tier, as the spec gives it

Greedy = Callable[[np.ndarray, Lattice, int], tuple[list[int], int]]


def tube(shape: tuple[int, int, int], spacing: float) -> SamplingCase:
    """A bent tube with a lesion; OOI = tube and a ring of 15 mm."""
    corners = np.array(CORNERS) * np.array(shape)
    line = np.concatenate([np.linspace(a, b, 100) for a, b in pairwise(corners)]).astype(int)
    away = np.ones(shape, dtype=bool)
    away[tuple(line.T)] = False
    distance = distance_transform_edt(away, sampling=spacing).astype(np.float32)
    seat = np.ones(shape, dtype=bool)
    seat[tuple(line[170])] = False
    lesion = distance_transform_edt(seat, sampling=spacing) <= 14
    ooi = np.where(distance <= 25, 2, np.where(distance <= 40, 1, 0)).astype(np.uint8)
    return SamplingCase("tube", (spacing,) * 3, lesion, ooi, np.maximum(distance - 25, 0))


def naive(values: np.ndarray, lattice: Lattice, count: int) -> tuple[list[int], int]:
    left, weights = values.copy(), SETTINGS.absorbed * lattice.profile(SETTINGS.margin_profile)
    boxes = [lattice.box(candidate) for candidate in range(lattice.size)]
    chosen: list[int] = []
    evaluations = 0
    for _ in range(count):
        gains = np.array([np.vdot(left[box], weights) for box in boxes])
        evaluations += len(gains)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        left[boxes[chosen[-1]]] *= 1 - weights
    return chosen, evaluations


def table(values: np.ndarray, lattice: Lattice, count: int) -> tuple[list[int], int]:
    left, weights = values.copy(), SETTINGS.absorbed * lattice.profile(SETTINGS.margin_profile)
    chosen: list[int] = []
    evaluations = 0
    for _ in range(count):
        residual = residual_of(left, lattice)
        gains = residual.gains()
        evaluations += residual.evaluations
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        left[lattice.box(chosen[-1])] *= 1 - weights
    return chosen, evaluations


def heap(values: np.ndarray, lattice: Lattice, count: int) -> tuple[list[int], int]:
    left, weights = values.copy(), SETTINGS.absorbed * lattice.profile(SETTINGS.margin_profile)
    boxes = [lattice.box(candidate) for candidate in range(lattice.size)]
    bounds = [(-float(np.vdot(left[box], weights)), candidate, 0) for candidate, box in enumerate(boxes)]
    evaluations = len(bounds)
    heapq.heapify(bounds)
    chosen: list[int] = []
    while len(chosen) < count:
        _, candidate, seen = heapq.heappop(bounds)
        if seen == len(chosen):
            chosen.append(candidate)
            left[boxes[candidate]] *= 1 - weights
            continue
        gain = float(np.vdot(left[boxes[candidate]], weights))
        evaluations += 1
        heapq.heappush(bounds, (-gain, candidate, len(chosen)))
    return chosen, evaluations


def lazy(values: np.ndarray, lattice: Lattice, count: int) -> tuple[list[int], int]:
    selection = lazy_greedy(residual_of(values, lattice), lattice, count, diversity=0.0)
    return selection.candidates.tolist(), selection.evaluations


WAYS: dict[str, tuple[Greedy, int]] = {"naive": (naive, 1), "table": (table, 3), "heap": (heap, 3), "lazy": (lazy, 5)}


def residual_of(values: np.ndarray, lattice: Lattice) -> Residual:
    return Residual(values, lattice, absorbed=SETTINGS.absorbed, margin_profile=SETTINGS.margin_profile)


def total_gain(values: np.ndarray, lattice: Lattice, chosen: list[int]) -> float:
    residual = residual_of(values, lattice)
    for candidate in chosen:
        residual.take(candidate)
    return float(values.sum() - residual.values.sum())


def compare(tier: str, count: int) -> list[dict[str, object]]:
    """All ways on one map.

    Raises:
        BenchmarkError: One of them comes to another gain.
    """
    shape, spacing, length = TIERS[tier]
    lattice = lattice_of(shape, (length,) * 3, SETTINGS.coarsening, SETTINGS.central_share)
    values = block_sums(importance(tube(shape, spacing), SETTINGS), SETTINGS.coarsening, lattice.cells)
    lazy(values, lattice, 2)  # the tables of the grid are made once per run of a program
    rows: list[dict[str, object]] = []
    for name, (way, repeats) in WAYS.items():
        seconds: list[float] = []
        for _ in range(repeats):
            started = time.perf_counter()
            chosen, evaluations = way(values, lattice, count)
            seconds.append(time.perf_counter() - started)
        gain = total_gain(values, lattice, chosen) / values.sum()
        row = {"tier": tier, "way": name, "candidates": lattice.size, "patches": count, "evaluations": evaluations}
        rows.append(row | {"gain": round(float(gain), 9), "seconds": round(statistics.median(seconds), 5)})
    if len({row["gain"] for row in rows}) != 1:
        raise BenchmarkError(f"The ways come to different gains: {[(row['way'], row['gain']) for row in rows]}.")
    for row in rows:
        row["times_faster_than_naive"] = round(rows[0]["seconds"] / row["seconds"], 1)  # type: ignore[operator]
    return rows


def per_case(tier: str, count: int) -> dict[str, object]:
    """Seconds and memory of `centres`."""
    shape, spacing, length = TIERS[tier]
    case = tube(shape, spacing)
    sampler = make_sampler("guided", (length,) * 3, seed=1)
    seconds: list[float] = []
    for epoch in range(12):
        started = time.perf_counter()
        sampler.centres(case, count, epoch)
        seconds.append(time.perf_counter() - started)
    tracemalloc.start()
    make_sampler("guided", (length,) * 3, seed=1).centres(case, count, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "tier": tier,
        "patches": count,
        "first_seconds": round(seconds[0], 4),
        "next_seconds": round(statistics.median(seconds[1:]), 4),
        "peak_mb": round(peak / 1e6, 1),
        "volume_float32_mb": round(case.lesion.size * 4 / 1e6, 1),
    }


def beside_training(cases: int, count: int, batch: int) -> dict[str, object]:
    """Waiting for centres and slowing of a pretended training of the cpu tier, on as many cores as there are."""
    shape, spacing, length = TIERS["cpu"]
    case = tube(shape, spacing)
    names = [f"case {number}" for number in range(cases)]
    steps = cases * count // batch
    matrix = np.random.default_rng(0).standard_normal((400, 400)).astype(np.float32)

    def train() -> float:
        started = time.perf_counter()
        for _ in range(steps):
            for _ in range(8):
                matrix @ matrix
        return time.perf_counter() - started

    alone = statistics.median(train() for _ in range(5))
    with BackgroundCentres(
        make_sampler("guided", (length,) * 3, seed=1), lambda name: replace(case, name=name), count=count
    ) as centres:
        started = time.perf_counter()
        centres.prepare(0, names)
        centres.take(0)
        first = time.perf_counter() - started
        trained: list[float] = []
        waited: list[float] = []
        for epoch in range(1, 6):
            centres.prepare(epoch, names)
            trained.append(train())
            started = time.perf_counter()
            centres.take(epoch)
            waited.append(time.perf_counter() - started)
    epoch_seconds = statistics.median(t + w for t, w in zip(trained, waited, strict=True)) - alone
    return {
        "cases": cases,
        "patches_per_case": count,
        "steps_per_epoch": steps,
        "first_epoch_seconds": round(first, 3),
        "training_alone_seconds": round(alone, 3),
        "extra_seconds_per_epoch": round(epoch_seconds, 3),
        "share_of_real_epoch": round(max(0.0, epoch_seconds) / (steps * STEP_SECONDS), 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--patches", type=int, default=32, help="patches of a set")
    arguments = parser.parse_args()
    rows = [row for tier in TIERS for row in compare(tier, arguments.patches)]
    cases = [per_case(tier, count) for tier in TIERS for count in (4, arguments.patches)]
    beside = beside_training(cases=24, count=4, batch=2)
    if arguments.json:
        settings = {"patches": arguments.patches, "numpy": np.__version__, "scipy": metadata.version("scipy")}
        numbers = {"selection": rows, "cases": cases, "beside_training": beside}
        write_json(arguments.json, report("bench/sampling_speed.py", settings, numbers))
    for part in (rows, cases, [beside]):
        print(markdown_table(list(part[0]), [list(row.values()) for row in part]) + "\n")


if __name__ == "__main__":
    main()
