"""Coverage of nominal 95 % intervals of agreement, prediction-powered means and ranks, by simulation.

    python bench/statistics_coverage.py --replications 2000 --json bench/out/statistics_coverage.json

Each row is one design. The simulation's own standard error is .005 at 2,000 replications. `no interval` is the share of
data sets for which there was none (no estimate, or too many resamples without one); they count neither way.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from _common import markdown_table, report, write_json
from medbench.stats import (
    Bootstrap,
    Estimate,
    RatedAnswers,
    balanced_pairwise_f1,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac,
    kendall_tau_b,
    krippendorff_alpha,
    pearson,
    prediction_powered_mean,
    spearman,
)

Ratings = np.ndarray
LARGE = 100_000


def ratings(generator, items: int, per: int, raters: int, noise: float, steps: int, skew: float) -> Ratings:
    """Ratings of `items`·`per` answers, alike within an item; `skew` moves the cuts away from the middle."""
    truth = (0.8 * generator.normal(size=(items, 1)) + 0.6 * generator.normal(size=(items, per))).reshape(-1, 1)
    return np.digitize(
        truth + noise * generator.normal(size=(truth.size, raters)), skew + np.linspace(-1, 1, steps - 1)
    )


def pairwise(ours: Callable, **options) -> Callable:
    """A function of two raters as one of a table."""
    return lambda table, clusters, bootstrap: ours(table[:, 0], table[:, 1], clusters, options=bootstrap, **options)


def f1_of_people(table, clusters, bootstrap):
    """The judge is the first column, people are the others."""
    return balanced_pairwise_f1(table[:, 0], table[:, 1:2].astype(float), clusters, bootstrap).judge


COEFFICIENTS = {
    "Cohen": pairwise(cohen_kappa),
    "Cohen, linear": pairwise(cohen_kappa, weights="linear"),
    "Cohen, quadratic": pairwise(cohen_kappa, weights="quadratic"),
    "Pearson": pairwise(pearson),
    "Spearman": pairwise(spearman),
    "Kendall": pairwise(kendall_tau_b),
    "Fleiss": lambda table, clusters, bootstrap: fleiss_kappa(table, clusters, options=bootstrap),
    "Krippendorff, ordinal": lambda t, clusters, bootstrap: krippendorff_alpha(
        t, clusters, "ordinal", options=bootstrap
    ),
    "Gwet AC1": lambda table, clusters, bootstrap: gwet_ac(table, clusters, options=bootstrap),
    "balanced F1": f1_of_people,
}
# items, answers per item, noise, steps, skew
DESIGNS = {
    "30 items": (30, 1, 0.5, 3, 0.0),
    "30 items of 3": (30, 3, 0.5, 3, 0.0),
    "100 items": (100, 1, 0.5, 3, 0.0),
    "100, rare category": (100, 1, 0.3, 2, 1.2),
    "60, near perfect": (60, 1, 0.1, 3, 0.0),
}


def coverage(estimates: list[Estimate], truth: float) -> dict[str, float]:
    """Share of the intervals that hold the truth, and their mean width."""
    known = [estimate for estimate in estimates if getattr(estimate, "low", None) is not None]
    return {
        "truth": truth,
        "coverage": float(np.mean([estimate.low <= truth <= estimate.high for estimate in known])),
        "width": float(np.mean([estimate.high - estimate.low for estimate in known])),
        "no interval": 1.0 - len(known) / len(estimates),
    }


def agreement(replications: int) -> dict[str, dict[str, float]]:
    """All coefficients in all designs."""
    rows = {}
    for design, (items, per, noise, steps, skew) in DESIGNS.items():
        for name, ours in COEFFICIENTS.items():
            if name == "balanced F1" and steps > 2:
                continue
            generator = np.random.default_rng(0)
            raters = 4 if name in ("Fleiss", "Krippendorff, ordinal", "Gwet AC1") else 2
            large = ratings(generator, LARGE, 1, raters, noise, steps, skew)
            truth = ours(large, np.zeros(LARGE, dtype=np.intp), Bootstrap(draws=100)).value
            clusters = np.repeat(np.arange(items), per)
            estimates = [
                ours(ratings(generator, items, per, raters, noise, steps, skew), clusters, Bootstrap(draws=1_000))
                for _ in range(replications)
            ]
            rows[f"{name}; {design}"] = coverage(estimates, truth)
    return rows


def prediction_powered(replications: int) -> dict[str, dict[str, float]]:
    """Means of 0/1 human verdicts with a judge in [0, 1]."""
    rows = {}
    for mean in (0.1, 0.3, 0.5, 0.9, 0.95):
        for n in (30, 60, 200):
            generator = np.random.default_rng(1)
            estimates, narrower = [], []
            for _ in range(replications):
                chance = generator.beta(2 * mean, 2 * (1 - mean), n + 500)
                human = (generator.random(n + 500) < chance).astype(float)
                judge = np.clip(chance + 0.15 + 0.1 * generator.normal(size=n + 500), 0, 1)
                codes = np.arange(n + 500)
                answers = RatedAnswers(human[:n], judge[:n], codes[:n], judge[n:], codes[n:])
                result = prediction_powered_mean(answers, scale=(0.0, 1.0))
                estimates.append(result.estimate)
                alone = result.labels_alone
                if alone.high > alone.low:
                    narrower.append((result.estimate.high - result.estimate.low) / (alone.high - alone.low))
            rows[f"mean {mean}, {n} rated of {n + 500}"] = coverage(estimates, mean) | {
                "width to labels alone": float(np.mean(narrower)),
                "widest": float(np.max(narrower)),
            }
    return rows


def main() -> None:
    """Run all simulations and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=2_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=["agreement", "prediction_powered"])
    options = parser.parse_args()
    start = time.process_time()
    parts = {"agreement": agreement, "prediction_powered": prediction_powered}
    numbers = {name: run(options.replications) for name, run in parts.items() if options.only in (None, name)}
    for title, rows in numbers.items():
        print(f"\n{title}\n")
        header = list(next(iter(rows.values())))
        print(
            markdown_table(
                ["design", *header], [[name, *(f"{row[key]:.3f}" for key in header)] for name, row in rows.items()]
            )
        )
    print(f"\n{time.process_time() - start:.0f} s of processor time")
    if options.json:
        write_json(options.json, report("statistics_coverage", {"replications": options.replications}, numbers))


if __name__ == "__main__":
    main()
