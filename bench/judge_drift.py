"""How often `medbench judge drift` flags a judge that has not changed, and one that has, by simulation.

    python bench/judge_drift.py --rounds 1000 --json bench/out/judge_drift.json

An answer has an expected level, to which each prompt adds something of its own (standard deviation 0.5 levels; the same
in both readings, since a repeat is asked in the same words) and each judgement noise; a judge gives whole levels.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from _common import markdown_table, report, write_json
from medbench.items.model import Question
from medbench.models.model import Identity
from medbench.scoring.judging import drift
from medbench.scoring.judging.anchors import Anchor
from medbench.scoring.judging.plan import JudgePins

PINS = JudgePins(Identity("simulated:judge", "judge"))


@dataclass(frozen=True)
class Design:
    """Anchors, a judge and its change, in levels."""

    name: str
    repeats: int = 3
    items: int = 100
    per_item: int = 1
    families: int = 5
    noise: float = 1.0
    shift: float = 0.0
    scatter: float = 0.0
    failing: tuple[float, float] = (0.0, 0.0)


DESIGNS = (
    Design("unchanged, one family", families=1),
    Design("unchanged"),
    Design("unchanged, two answers an item", items=50, per_item=2),
    Design("unchanged, 30 answers, 2 repeats", repeats=2, items=30, families=3),
    Design("unchanged, 20 families", families=20),
    Design("unchanged, 40 families, 2 repeats", families=40, repeats=2),
    Design("unchanged, 1 repeat", repeats=1),
    Design("unchanged, no noise", noise=0.0),
    Design("unchanged, 5 % of the calls fail", failing=(0.05, 0.05)),
    Design("0.3 levels up", shift=0.3),
    Design("0.5 levels up", shift=0.5),
    Design("0.5 levels up, 1 repeat", repeats=1, shift=0.5),
    Design("1 level up, 1 repeat", repeats=1, shift=1.0),
    Design("each answer 0.7 levels up or down", scatter=0.7),
    Design("each answer 1 level up or down", scatter=1.0),
    Design("each answer 1 level up or down, 1 repeat", repeats=1, scatter=1.0),
    Design("failures from 0 to 15 %, 1 repeat", repeats=1, failing=(0.0, 0.15)),
)


def reading(generator, means, failing: float, design: Design, prompts) -> drift.Reading:
    """What a judge with these expected levels says."""
    levels = means[:, None] + prompts + design.noise * generator.normal(size=prompts.shape)
    values = np.clip(np.rint(levels), 0, 10) / 10
    failed = generator.random(values.shape) < failing
    said = tuple(
        tuple(None if lost else value for value, lost in zip(*row, strict=True))
        for row in zip(values.tolist(), failed.tolist(), strict=True)
    )
    nothing = tuple(() for _ in said)
    return drift.Reading("r", "", "", PINS.id, PINS, {}, {}, {"rubric": said, "key_points": nothing})


def flagged(design: Design, rounds: int) -> dict[str, object]:
    """Share of the comparisons that say `drift`, and by which sign."""
    generator = np.random.default_rng(0)
    count = design.items * design.per_item
    anchors = [
        Anchor(Question(f"q{place // design.per_item}", "d", "?"), "a", ("llm_judge",), f"r{place % design.families}")
        for place in range(count)
    ]
    hits = 0
    signs = {"level": 0, "answers": 0, "failures": 0}
    for _ in range(rounds):
        means = np.repeat(10 * generator.beta(2.0, 1.5, design.items), design.per_item) + generator.normal(size=count)
        prompts = 0.5 * generator.normal(size=(count, design.repeats))
        after = means + design.shift + design.scatter * generator.choice([-1, 1], count)
        found = drift.compare_readings(
            anchors,
            reading(generator, means, design.failing[0], design, prompts),
            reading(generator, after, design.failing[1], design, prompts),
        )
        hits += found.verdict == "drift"
        for sign in {sign for group in found.groups for sign in group.signs}:
            signs[sign] += 1
    return {"design": design.name, "flagged": hits / rounds, **{name: n / rounds for name, n in signs.items()}}


def undefined(*_: object, **__: object) -> None:
    """Stands for kappa, which plays no part in a verdict and would take most of the time."""
    raise ValueError


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    drift.cohen_kappa = undefined
    rows = [flagged(design, options.rounds) for design in DESIGNS]
    print(markdown_table(list(rows[0]), [list(row.values()) for row in rows]))
    if options.json:
        write_json(options.json, report("judge_drift", {"rounds": options.rounds}, {"rows": rows}))


if __name__ == "__main__":
    main()
