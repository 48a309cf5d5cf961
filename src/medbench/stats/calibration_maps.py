"""Two monotone maps from a judge's score to the chances of people's scores.

Both give, for people's scores l_1 < … < l_K, the chances P(Y >= l_k | judge), k = 2..K, which fall with k and never
fall as the judge's score rises. The calibrated score is the mean, l_1 + Σ_k (l_k − l_{k−1}) P(Y >= l_k).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from medbench.stats.clusters import FloatArray, observations

Method = Literal["isotonic", "ordinal_logistic"]
VERSION = 1

# Penalty on the slope per standard deviation of the judge's score: one part in so many ratings. It only keeps the slope
# finite where the judge separates the levels.
RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class CalibrationMap:
    """A map from a judge's score to the distribution of people's scores.

    Attributes:
        method: `isotonic` or `ordinal_logistic`.
        levels: People's scores, ascending, K >= 2.
        knots: Isotonic: the judge's scores between which is interpolated, ascending; flat beyond the ends. Ordinal
            logistic: empty.
        chances: Isotonic: P(Y >= l_k) at each knot, shape (knots, K − 1). Empty otherwise.
        intercepts: Ordinal logistic: α_k in logit P(Y >= l_k) = α_k + slope·judge, falling, shape (K − 1,). Empty
            otherwise.
        slope: Ordinal logistic: at least 0. 0 otherwise.
        ratings: Ratings it was fitted to.
        data_hash: SHA-256 of these (`calibration.data_hash`).
    """

    method: Method
    levels: tuple[float, ...]
    knots: tuple[float, ...]
    chances: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]
    slope: float
    ratings: int
    data_hash: str

    def exceedance(self, judge: ArrayLike) -> FloatArray:
        """P(Y >= l_k) for k = 2..K, shape (n, K − 1), at judge's scores of shape (n,)."""
        scores = observations(judge, "judge")
        if self.method == "isotonic":
            columns = np.asarray(self.chances)
            return np.stack([np.interp(scores, self.knots, column) for column in columns.T], axis=1)
        return _logistic(np.asarray(self.intercepts)[None, :] + self.slope * scores[:, None])

    def predict(self, judge: ArrayLike) -> FloatArray:
        """Mean human score to be expected, shape (n,), between the least and the greatest level."""
        predicted: FloatArray = self.levels[0] + self.exceedance(judge) @ np.diff(self.levels)
        return predicted

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `from_dict` gives the same map back."""
        return {
            "version": VERSION,
            "method": self.method,
            "levels": list(self.levels),
            "knots": list(self.knots),
            "chances": [list(row) for row in self.chances],
            "intercepts": list(self.intercepts),
            "slope": self.slope,
            "ratings": self.ratings,
            "data_hash": self.data_hash,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> CalibrationMap:
        """The map that `as_dict` described.

        Raises:
            ValueError: A field is missing or wrong, or what is stored is not monotone.
        """
        if stored.get("version") != VERSION:
            raise ValueError(f"calibration map of version {stored.get('version')!r}; this program reads {VERSION}")
        try:
            loaded = cls(
                method=stored["method"],
                levels=_numbers(stored["levels"]),
                knots=_numbers(stored["knots"]),
                chances=tuple(_numbers(row) for row in stored["chances"]),
                intercepts=_numbers(stored["intercepts"]),
                slope=float(stored["slope"]),
                ratings=int(stored["ratings"]),
                data_hash=str(stored["data_hash"]),
            )
        except KeyError as error:
            raise ValueError(f"calibration map lacks the field {error}") from error
        except TypeError as error:
            raise ValueError(f"calibration map has a field of the wrong type: {error}") from error
        _require_valid(loaded)
        return loaded


def fit_isotonic(judge: FloatArray, human: FloatArray, levels: FloatArray, digest: str) -> CalibrationMap:
    """Isotonic regression of each indicator Y >= l_k on the judge's score, by pooling adjacent violators.

    Between the judge's scores that occur it is interpolated. The fits for rising k never cross, as isotonic regression
    preserves order between targets.

    Source: Barlow, Bartholomew, Bremner & Brunk (1972), Statistical Inference under Order Restrictions, chapter 1;
    thresholds as in Henzi, Ziegel & Gneiting (2021), "Isotonic distributional regression", JRSS B 83:963.

    Args:
        judge: Shape (n,), n >= 1.
        human: Shape (n,).
        levels: All scores people may give, ascending, shape (K,).
        digest: Hash of the data, to be stored.
    """
    knots, place = np.unique(judge, return_inverse=True)
    weights = np.bincount(place.reshape(-1)).astype(np.float64)
    columns = []
    for level in levels[1:]:
        shares = np.bincount(place.reshape(-1), weights=(human >= level).astype(np.float64)) / weights
        columns.append(pool_adjacent_violators(shares, weights))
    chances = np.clip(np.stack(columns, axis=1), 0.0, 1.0)
    # Rounding in pooled means must not let two thresholds cross.
    chances = np.minimum.accumulate(chances, axis=1)
    return CalibrationMap(
        method="isotonic",
        levels=tuple(levels.tolist()),
        knots=tuple(knots.tolist()),
        chances=tuple(tuple(row) for row in chances.tolist()),
        intercepts=(),
        slope=0.0,
        ratings=int(judge.size),
        data_hash=digest,
    )


def pool_adjacent_violators(values: FloatArray, weights: FloatArray) -> FloatArray:
    """The non-falling sequence nearest to `values` in weighted squares (Ayer et al., 1955), in linear time.

    Args:
        values: Shape (n,), n >= 1.
        weights: Shape (n,), positive.
    """
    means: list[float] = []
    masses: list[float] = []
    lengths: list[int] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, mass, length = value, weight, 1
        while means and means[-1] >= mean:
            previous = masses.pop()
            mean = (means.pop() * previous + mean * mass) / (previous + mass)
            mass += previous
            length += lengths.pop()
        means.append(mean)
        masses.append(mass)
        lengths.append(length)
    return np.repeat(means, lengths)


def fit_ordinal_logistic(judge: FloatArray, human: FloatArray, levels: FloatArray, digest: str) -> CalibrationMap:
    """Proportional odds: logit P(Y >= l_k | judge) = α_k + β·judge with β >= 0, by maximum likelihood.

    A level that does not occur in `human` gets the chance of the likelihood's limit, all but 0. A tiny ridge on β
    (`RIDGE` per rating and standard deviation) keeps it finite where the judge separates the levels.

    Source: McCullagh (1980), Journal of the Royal Statistical Society B 42:109, section 2.

    Args:
        judge: Shape (n,), n >= 1.
        human: Shape (n,).
        levels: All scores people may give, ascending, shape (K,).
        digest: Hash of the data, to be stored.
    """
    from scipy.optimize import minimize

    centre = float(judge.mean())
    width = float(judge.std()) or 1.0
    scores = (judge - centre) / width
    place = np.searchsorted(levels, human)
    thresholds = levels.size - 1
    # One row per different (judge, human) pair; its number of ratings is its weight.
    pairs, counts = np.unique(np.column_stack([scores, place]), axis=0, return_counts=True)
    x, y = pairs[:, 0], pairs[:, 1].astype(np.intp)
    share = counts / counts.sum()

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        steps = np.exp(parameters[1:thresholds])
        intercepts = parameters[0] - np.concatenate([[0.0], np.cumsum(steps)])
        slope = parameters[-1]
        padded = np.concatenate([[np.inf], intercepts, [-np.inf]])
        upper = _logistic(padded[y] + slope * x)
        lower = _logistic(padded[y + 1] + slope * x)
        chance = np.maximum(upper - lower, 1e-300)
        # Derivatives with respect to the two linear predictors.
        up, down = share * upper * (1.0 - upper) / chance, share * lower * (1.0 - lower) / chance
        by_intercept = np.bincount(y, weights=up, minlength=thresholds + 1)[1:]
        by_intercept = by_intercept - np.bincount(y + 1, weights=down, minlength=thresholds + 1)[1 : thresholds + 1]
        gradient = np.empty_like(parameters)
        gradient[0] = -by_intercept.sum()
        gradient[1:thresholds] = steps * np.cumsum(by_intercept[::-1])[::-1][1:]
        gradient[-1] = -((up - down) @ x) + 2.0 * RIDGE / judge.size * slope
        return float(-(share @ np.log(chance)) + RIDGE / judge.size * slope**2), gradient

    reached = np.array([(place >= k).mean() for k in range(1, levels.size)])
    # Half a rating at each end and between any two thresholds: finite where a level does not occur.
    smooth = (reached * judge.size + 0.5 * (thresholds - np.arange(thresholds))) / (judge.size + 0.5 * (thresholds + 1))
    start = np.log(smooth) - np.log1p(-smooth)
    first = np.concatenate([start[:1], np.log(np.maximum(-np.diff(start), 1e-6)), [0.5]])
    bounds = [(-40.0, 40.0)] + [(-14.0, 4.0)] * (thresholds - 1) + [(0.0, 200.0)]
    options = {"maxiter": 2_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    intercepts = found.x[0] - np.concatenate([[0.0], np.cumsum(np.exp(found.x[1:thresholds]))])
    slope = float(found.x[-1]) / width
    return CalibrationMap(
        method="ordinal_logistic",
        levels=tuple(levels.tolist()),
        knots=(),
        chances=(),
        intercepts=tuple((intercepts - slope * centre).tolist()),
        slope=slope,
        ratings=int(judge.size),
        data_hash=digest,
    )


def ranked_probability(exceedance: FloatArray, human: FloatArray, levels: FloatArray) -> FloatArray:
    """Ranked probability score of each prediction, in [0, 1]: mean over thresholds of (P(Y >= l_k) − 1{Y >= l_k})².

    Source: Epstein (1969), Journal of Applied Meteorology 8:985, in the form of Murphy (1971), divided by K − 1.

    Args:
        exceedance: Shape (n, K − 1).
        human: Shape (n,).
        levels: Shape (K,).
    """
    happened = human[:, None] >= levels[None, 1:]
    scores: FloatArray = np.square(exceedance - happened).mean(axis=1)
    return scores


def _logistic(x: FloatArray) -> FloatArray:
    # Two halves, so that neither overflows.
    small = np.exp(-np.abs(x))
    values: FloatArray = np.where(x >= 0.0, 1.0, small) / (1.0 + small)
    return values


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _require_valid(loaded: CalibrationMap) -> None:
    thresholds = len(loaded.levels) - 1
    if loaded.method not in ("isotonic", "ordinal_logistic"):
        raise ValueError(f"calibration map has the unknown method {loaded.method!r}")
    if thresholds < 1 or not _rising(loaded.levels, strictly=True):
        raise ValueError(f"calibration map has the levels {list(loaded.levels)[:10]}; they must rise, two at least")
    if loaded.method == "isotonic":
        if not loaded.knots or not _rising(loaded.knots, strictly=True) or len(loaded.chances) != len(loaded.knots):
            raise ValueError("calibration map needs rising knots and one row of chances for each")
        if any(len(row) != thresholds for row in loaded.chances):
            raise ValueError(f"calibration map needs {thresholds} chances at each knot")
        table = np.asarray(loaded.chances)
        inside = bool(((table >= 0.0) & (table <= 1.0)).all())
        if not inside or (np.diff(table, axis=0) < 0.0).any() or (np.diff(table, axis=1) > 0.0).any():
            raise ValueError("calibration map is not monotone, or has chances outside [0, 1]")
        return
    falling = tuple(-value for value in loaded.intercepts)
    if len(loaded.intercepts) != thresholds or not _rising(falling, strictly=False):
        raise ValueError(f"calibration map needs {thresholds} falling intercepts")
    if not 0.0 <= loaded.slope < float("inf"):
        raise ValueError(f"calibration map has the slope {loaded.slope}; it must be finite and at least 0")


def _rising(values: Sequence[float], *, strictly: bool) -> bool:
    if not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    return bool((steps > 0.0).all() if strictly else (steps >= 0.0).all())
