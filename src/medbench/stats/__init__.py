"""Intervals, paired tests and the statistics of circular evaluation: pure numpy, no I/O.

Imports nothing else of medbench, since agcrc uses it as well; wrong arguments raise ValueError. SciPy is imported by
the functions that need a distribution, not by this package. Definitions: specs/scoring.md sections 3 and 8.
"""

from __future__ import annotations

from medbench.stats.circular import PositionPreference, chance_circular, position_preference
from medbench.stats.clusters import group_means
from medbench.stats.combine import combine_mover
from medbench.stats.comparisons import holm, minimum_detectable_effect
from medbench.stats.estimate import Estimate
from medbench.stats.intervals import clustered_mean
from medbench.stats.jackknife import jackknife_ratio, micro_f1
from medbench.stats.paired import McNemar, mcnemar_exact, paired_difference, sign_flip_permutation
from medbench.stats.rounding import half_up
from medbench.stats.student import t_quantile

__all__ = [
    "Estimate",
    "McNemar",
    "PositionPreference",
    "chance_circular",
    "clustered_mean",
    "combine_mover",
    "group_means",
    "half_up",
    "holm",
    "jackknife_ratio",
    "mcnemar_exact",
    "micro_f1",
    "minimum_detectable_effect",
    "paired_difference",
    "position_preference",
    "sign_flip_permutation",
    "t_quantile",
]
