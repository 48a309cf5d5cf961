"""Intervals, paired tests, agreement, calibration and the statistics of circular evaluation: pure numpy, no I/O.

Imports nothing else of medbench, since agcrc uses it as well; wrong arguments raise ValueError. SciPy is imported by
the functions that need a distribution or an optimiser, not by this package. Definitions: specs/scoring.md sections 3, 7
and 8. A figure that does not exist for the data is `None` or `Undefined` with its reason, never 0 or NaN.
"""

from __future__ import annotations

from medbench.stats.agreement import adjacent_agreement, cohen_kappa, exact_agreement
from medbench.stats.association import kendall_tau_b, pearson, spearman
from medbench.stats.calibration import Calibration, calibrate
from medbench.stats.calibration_maps import CalibrationMap
from medbench.stats.circular import PositionPreference, chance_circular, position_preference
from medbench.stats.clusters import group_means
from medbench.stats.combine import combine_mover
from medbench.stats.comparisons import holm, minimum_detectable_effect
from medbench.stats.estimate import Estimate
from medbench.stats.intervals import clustered_mean
from medbench.stats.jackknife import jackknife_ratio, micro_f1
from medbench.stats.outcome import Resampled, Undefined
from medbench.stats.paired import McNemar, mcnemar_exact, paired_difference, sign_flip_permutation
from medbench.stats.pairwise_f1 import PairwiseF1, RaterStanding, balanced_pairwise_f1
from medbench.stats.prediction_powered import (
    PredictionPowered,
    RatedAnswers,
    prediction_powered_difference,
    prediction_powered_mean,
)
from medbench.stats.ranks import Rank, joint_bootstrap_means, rank_intervals
from medbench.stats.raters import fleiss_kappa, gwet_ac, krippendorff_alpha
from medbench.stats.ratings import rating_table
from medbench.stats.repeats import pass_all_k, pass_at_k
from medbench.stats.resampling import Bootstrap
from medbench.stats.rounding import half_up
from medbench.stats.student import t_quantile

__all__ = [
    "Bootstrap",
    "Calibration",
    "CalibrationMap",
    "Estimate",
    "McNemar",
    "PairwiseF1",
    "PositionPreference",
    "PredictionPowered",
    "Rank",
    "RatedAnswers",
    "RaterStanding",
    "Resampled",
    "Undefined",
    "adjacent_agreement",
    "balanced_pairwise_f1",
    "calibrate",
    "chance_circular",
    "clustered_mean",
    "cohen_kappa",
    "combine_mover",
    "exact_agreement",
    "fleiss_kappa",
    "group_means",
    "gwet_ac",
    "half_up",
    "holm",
    "jackknife_ratio",
    "joint_bootstrap_means",
    "kendall_tau_b",
    "krippendorff_alpha",
    "mcnemar_exact",
    "micro_f1",
    "minimum_detectable_effect",
    "paired_difference",
    "pass_all_k",
    "pass_at_k",
    "pearson",
    "position_preference",
    "prediction_powered_difference",
    "prediction_powered_mean",
    "rank_intervals",
    "rating_table",
    "sign_flip_permutation",
    "spearman",
    "t_quantile",
]
