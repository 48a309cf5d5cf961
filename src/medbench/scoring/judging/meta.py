"""Meta-evaluation: how far a judge agrees with people, beside how far people agree with each other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean, median_low
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from medbench.scoring.judging.figure import Figure, figure
from medbench.scoring.judging.preferences import Position, position_of, verdicts_of
from medbench.scoring.ratings import Answered, Rating
from medbench.stats import (
    adjacent_agreement,
    balanced_pairwise_f1,
    clustered_mean,
    cohen_kappa,
    exact_agreement,
    fleiss_kappa,
    gwet_ac,
    kendall_tau_b,
    krippendorff_alpha,
    paired_difference,
    pearson,
    spearman,
)

MOST_PAIRS = 10
"""Pairs of people shown one by one."""
MOST_STEPS = 50
"""Different scores up to which kappas are reckoned; beyond it a scale is continuous."""
TAU_ROWS = 2_000
"""Kendall's tau grows with the square of the answers."""
LENGTHS = 3
"""Groups of answers by their length."""

ONE_BY_ONE = Position(Figure(reason="the judge saw one answer at a time"), 0)
OF_PAIRS = Figure(reason="the ratings are of pairs: see the position")

NO_NAMES: Mapping[str, str] = {}

Floats = NDArray[np.float64]


class Agreement(msgspec.Struct, frozen=True):
    """Agreement on one criterion.

    Attributes:
        n: Answers that both, or at least two, rated.
        raters: Who: the judge's name, or the number of people.
        exact: Share rated alike.
        adjacent: Share at most one step of the scale apart.
        kappa: Cohen's for two raters, Fleiss' for more.
        quadratic_kappa: The same with quadratic weights.
        alpha: Krippendorff's, for an interval scale.
        ac1: Gwet's.
        pearson: Two raters only, as the two that follow.
        spearman: Rank correlation.
        kendall: Tau-b.
    """

    n: int
    raters: str
    exact: Figure
    adjacent: Figure
    kappa: Figure
    quadratic_kappa: Figure
    alpha: Figure
    ac1: Figure
    pearson: Figure
    spearman: Figure
    kendall: Figure


class Lengths(msgspec.Struct, frozen=True):
    """Answers of like length: characters of the shortest and the longest, and the mean difference on these."""

    shortest: int
    longest: int
    apart: Figure
    n: int


class Bias(msgspec.Struct, frozen=True):
    """Where a judge's scores lie apart from people's, on the scale from 0 to 1: judge less their mean.

    Attributes:
        mean: Over all answers.
        per_length: Correlation of the difference with the logarithm of the answer's length.
        by_length: The short, the middle and the long third of the answers; empty where the ratings carry no texts.
        by_model: Who wrote the answers -> mean difference on these.
        own_family: Mean difference on answers by models of the judge's own family less that on the others'.
        position: Of ratings of pairs, which have no other bias here.
    """

    mean: Figure
    per_length: Figure
    by_length: tuple[Lengths, ...]
    by_model: dict[str, Figure]
    own_family: Figure
    position: Position = ONE_BY_ONE


class Step(msgspec.Struct, frozen=True):
    """People's mean score where the judge gave one score; scores as rated."""

    judge: float
    people: float
    low: float | None
    high: float | None
    n: int


class Balanced(msgspec.Struct, frozen=True):
    """The balanced pairwise F1 of HealthBench, for criteria that are met or not; see `balanced_pairwise_f1`.

    Attributes:
        judge: The judge against every rating of every person.
        people: Every person against every other.
        at_least: Of the people who can be placed, the share whose F1 is at most what the judge's is on the same pairs.
    """

    judge: Figure
    people: Figure
    at_least: float | None


class JudgeFigures(msgspec.Struct, frozen=True):
    """One judge on one criterion.

    Attributes:
        agreement: With people: with the (lower) median of their ratings, where several rated an answer.
        bias: Of its scores.
        curve: Reliability: by the judge's score; empty for pairs.
        balanced: None where scores lie between the ends of the scale, and for pairs.
    """

    judge: str
    agreement: Agreement
    bias: Bias
    curve: tuple[Step, ...]
    balanced: Balanced | None = None


class CriterionFigures(msgspec.Struct, frozen=True):
    """All that ratings say of one criterion.

    Attributes:
        criterion: What was rated.
        scale: Lowest and highest score.
        n: Answers that a judge and a person rated, of the first judge; 0 without a judge.
        judges: Each judge against people.
        people: People among themselves.
        pairs: Each pair of people with enough answers in common, at most ten.
        unshared: Judges of which there are no figures -> why.
    """

    criterion: str
    scale: tuple[float, float]
    n: int
    judges: tuple[JudgeFigures, ...]
    people: Agreement
    pairs: tuple[Agreement, ...]
    unshared: dict[str, str] = {}


def evaluate(ratings: Sequence[Rating], models: Mapping[str, str] = NO_NAMES) -> tuple[CriterionFigures, ...]:
    """Evaluate judges against people, criterion by criterion.

    Of pairs the agreement is that on preferences, where what somebody says of a pair in both orders is one verdict.

    Args:
        ratings: Of people and judges.
        models: Judge -> name of its model, where the judge's own name does not tell its family.
    """
    found = []
    for criterion in dict.fromkeys(rating.criterion for rating in ratings):
        given = [rating for rating in ratings if rating.criterion == criterion]
        paired = any(rating.is_pair for rating in given)
        mine = verdicts_of(given) if paired else given
        people = _by_unit(rating for rating in mine if rating.kind == "human")
        names = dict.fromkeys(rating.rater for rating in mine if rating.kind == "judge")
        judges = tuple(
            judged
            for name in names
            if (
                judged := _judge(
                    *(name, _of_judge(name, mine), people, family_of(models.get(name, name))),
                    position=position_of(_of_judge(name, given)) if paired else None,
                )
            )
        )
        measured = {judged.judge for judged in judges}
        among = _people(people)
        found.append(
            CriterionFigures(
                criterion=criterion,
                scale=mine[0].scale,
                n=judges[0].agreement.n if judges else 0,
                judges=judges,
                people=among[0],
                pairs=among[1],
                unshared={name: "no answer was rated by it and by a person" for name in names if name not in measured},
            )
        )
    return tuple(found)


def by_group(ratings: Sequence[Rating], group: Callable[[Rating], str]) -> dict[str, list[Rating]]:
    """The ratings of each group of items, sorted by name.

    Args:
        ratings: Of people and judges.
        group: Of a rating; empty where it does not tell. One rating of an item tells it for all; an item of which none
            tells is in no group.
    """
    groups = {rating.item: name for rating in ratings if (name := group(rating))}
    found: dict[str, list[Rating]] = {name: [] for name in sorted(set(groups.values()))}
    for rating in ratings:
        if rating.item in groups:
            found[groups[rating.item]].append(rating)
    return found


def family_of(model: str) -> str:
    """The family that a model's name tells: `qwen` of `Qwen/Qwen3-32B`, `gpt` of `gpt-4o`; empty: it tells none."""
    found = re.match(r"[a-z]+", model.rpartition("/")[2].lower())
    return found[0] if found else ""


Units = dict[tuple[str, Answered], list[Rating]]


def _of_judge(name: str, ratings: Sequence[Rating]) -> list[Rating]:
    return [rating for rating in ratings if rating.kind == "judge" and rating.rater == name]


def _by_unit(ratings: Any) -> Units:  # noqa: ANN401 - any iterable
    units: Units = defaultdict(list)
    for rating in ratings:
        units[rating.unit].append(rating)
    return units


def _judge(
    name: str, ratings: Sequence[Rating], people: Units, family: str, position: Position | None
) -> JudgeFigures | None:
    """A judge against people; None where they share no answer."""
    shared = [rating for rating in ratings if rating.unit in people]
    if not shared:
        return None
    theirs = [people[rating.unit] for rating in shared]
    first = np.array([rating.score for rating in shared], dtype=np.float64)
    second = np.array([median_low(each.score for each in several) for several in theirs], dtype=np.float64)
    items = [rating.item for rating in shared]
    agreement = _two(name, first, second, items)
    if position is not None:
        return JudgeFigures(name, agreement, Bias(OF_PAIRS, OF_PAIRS, (), {}, OF_PAIRS, position), ())
    means = np.array([fmean(each.score for each in several) for several in theirs], dtype=np.float64)
    low, high = shared[0].scale
    apart = (first - means) / (high - low)
    return JudgeFigures(
        judge=name,
        agreement=agreement,
        bias=_bias(apart, shared, theirs, items, family),
        curve=_curve(first, means, items, shared[0].scale),
        balanced=_balanced(shared, theirs, items),
    )


def _balanced(shared: Sequence[Rating], people: Sequence[list[Rating]], items: Sequence[str]) -> Balanced | None:
    every = [*shared, *(rating for several in people for rating in several)]
    if any(rating.share not in (0.0, 1.0) for rating in every):
        return None
    column = {name: place for place, name in enumerate(sorted({each.rater for several in people for each in several}))}
    table = np.full((len(shared), len(column)), np.nan)
    for row, several in enumerate(people):
        for rating in several:
            table[row, column[rating.rater]] = rating.share
    found = balanced_pairwise_f1([rating.share for rating in shared], table, items)
    return Balanced(figure(lambda: found.judge), figure(lambda: found.people), found.judge_at_least)


def _two(raters: str, first: Floats, second: Floats, items: Sequence[str]) -> Agreement:
    steps = np.unique(np.concatenate([first, second])).size
    table = np.stack([first, second], axis=1)
    continuous = f"{steps} different scores: no scale of steps"
    few = steps <= MOST_STEPS
    return Agreement(
        n=len(items),
        raters=raters,
        exact=figure(lambda: exact_agreement(first, second, items)),
        adjacent=figure(lambda: adjacent_agreement(first, second, items), few, continuous),
        kappa=figure(lambda: cohen_kappa(first, second, items), few, continuous),
        quadratic_kappa=figure(lambda: cohen_kappa(first, second, items, "quadratic")),
        alpha=figure(lambda: krippendorff_alpha(table, items, "interval")),
        ac1=figure(lambda: gwet_ac(table, items), few, continuous),
        pearson=figure(lambda: pearson(first, second, items)),
        spearman=figure(lambda: spearman(first, second, items)),
        kendall=figure(
            lambda: kendall_tau_b(first, second, items), len(items) <= TAU_ROWS, f"more than {TAU_ROWS:,} answers"
        ),
    )


def _people(people: Units) -> tuple[Agreement, tuple[Agreement, ...]]:
    """People among themselves, all together and pair by pair."""
    raters = sorted({rating.rater for several in people.values() for rating in several})
    column = {name: place for place, name in enumerate(raters)}
    units = list(people)
    items = [item for item, _ in units]
    table = np.full((len(units), max(1, len(raters))), np.nan)
    for row, unit in enumerate(units):
        for rating in people[unit]:
            table[row, column[rating.rater]] = rating.score
    pairs = []
    for one, other in combinations(range(len(raters)), 2):
        both = ~np.isnan(table[:, [one, other]]).any(axis=1)
        if both.sum() >= 2:
            theirs = [item for item, chosen in zip(items, both, strict=True) if chosen]
            name = f"{raters[one]} / {raters[other]}"
            pairs.append(_two(name, table[both, one], table[both, other], theirs))
    shared = (~np.isnan(table)).sum(axis=1) >= 2
    if len(raters) == 2 and pairs:
        return msgspec.structs.replace(pairs[0], raters="2"), tuple(pairs)
    if not shared.any():
        nobody = Figure(reason="no answer was rated by two people")
        return Agreement(0, str(len(raters)), *([nobody] * 9)), ()
    several, theirs = table[shared], [item for item, chosen in zip(items, shared, strict=True) if chosen]
    two_only = Figure(reason="more than two people: see the pairs")
    whole = Agreement(
        n=int(shared.sum()),
        raters=str(len(raters)),
        exact=figure(lambda: clustered_mean(_alike(several, 0), theirs)),
        adjacent=figure(lambda: clustered_mean(_alike(several, 1), theirs)),
        kappa=figure(lambda: fleiss_kappa(several, theirs)),
        quadratic_kappa=figure(lambda: fleiss_kappa(several, theirs, "quadratic")),
        alpha=figure(lambda: krippendorff_alpha(several, theirs, "interval")),
        ac1=figure(lambda: gwet_ac(several, theirs)),
        pearson=two_only,
        spearman=two_only,
        kendall=two_only,
    )
    return whole, tuple(pairs[:MOST_PAIRS])


def _alike(table: Floats, apart: int) -> Floats:
    """Share of the pairs of raters of each answer that are at most so many steps apart, shape (n,)."""
    steps = np.unique(table[~np.isnan(table)])
    places = np.where(np.isnan(table), np.nan, np.searchsorted(steps, table).astype(np.float64))
    first, second = np.triu_indices(table.shape[1], 1)
    distance = np.abs(places[:, first] - places[:, second])
    rated = ~np.isnan(distance)
    close: Floats = (rated & (np.nan_to_num(distance, nan=np.inf) <= apart)).sum(axis=1) / rated.sum(axis=1)
    return close


def _bias(
    apart: Floats, shared: Sequence[Rating], people: Sequence[list[Rating]], items: Sequence[str], family: str
) -> Bias:
    texts = [
        rating.text or next((each.text for each in several if each.text), "")
        for rating, several in zip(shared, people, strict=True)
    ]
    models = [
        rating.model or next((each.model for each in several if each.model), "")
        for rating, several in zip(shared, people, strict=True)
    ]
    told = np.array([bool(text) for text in texts])
    sizes = np.array([max(1, len(text)) for text in texts])
    lengths = np.log(sizes)
    known = [item for item, has in zip(items, told, strict=True) if has]
    by_model = {}
    for model in sorted({model for model in models if model}):
        chosen = np.array([each == model for each in models])
        theirs = [item for item, has in zip(items, chosen, strict=True) if has]
        by_model[model] = _mean(apart[chosen], theirs)
    return Bias(
        mean=_mean(apart, items),
        per_length=figure(
            lambda: pearson(apart[told], lengths[told], known), int(told.sum()) > 2, "the ratings carry no texts"
        ),
        by_length=_by_length(apart[told], sizes[told], known),
        by_model=by_model,
        own_family=_own_family(apart, [family_of(model) for model in models], items, family),
    )


def _by_length(apart: Floats, sizes: NDArray[np.int64], items: Sequence[str]) -> tuple[Lengths, ...]:
    """Thirds of the answers by length; answers of one length stay together, so that there may be fewer groups."""
    if not sizes.size:
        return ()
    places = np.searchsorted(np.quantile(sizes, np.arange(1, LENGTHS) / LENGTHS), sizes, side="left")
    groups = []
    for place in np.unique(places):
        here = places == place
        theirs = [item for item, chosen in zip(items, here, strict=True) if chosen]
        shortest, longest = int(sizes[here].min()), int(sizes[here].max())
        groups.append(Lengths(shortest, longest, _mean(apart[here], theirs), int(here.sum())))
    return tuple(groups)


def _own_family(apart: Floats, families: Sequence[str], items: Sequence[str], family: str) -> Figure:
    own = np.array([bool(family) and each == family for each in families])
    others = np.array([each not in ("", family) for each in families])
    if not own.any():
        return Figure(reason="no answer is by a model of the judge's family, as far as names tell")
    if not others.any():
        return Figure(reason=f"no answer is by a model of another family than the judge's, {family}")
    told = own | others
    ours, theirs = apart[own].mean(), apart[others].mean()
    # Each answer's part in the difference of the two means, so that answers to one item may stand on both sides.
    parts = np.where(own, (apart - ours) / own.sum(), (theirs - apart) / others.sum()) * told.sum()
    return _mean((ours - theirs + parts)[told], [item for item, chosen in zip(items, told, strict=True) if chosen])


def _curve(judge: Floats, people: Floats, items: Sequence[str], scale: tuple[float, float]) -> tuple[Step, ...]:
    """People's mean at each of the judge's scores, or at each tenth of them where there are many."""
    values = np.unique(judge)
    if values.size > MOST_STEPS:
        edges = np.quantile(judge, np.linspace(0, 1, 11))
        places = np.clip(np.searchsorted(edges, judge, side="right") - 1, 0, 9)
    else:
        places = np.searchsorted(values, judge)
    steps = []
    for place in np.unique(places):
        here = places == place
        theirs = [item for item, chosen in zip(items, here, strict=True) if chosen]
        low, width = scale[0], scale[1] - scale[0]
        mean = clustered_mean((people[here] - low) / width, theirs)
        lower, upper = (None if limit is None else low + width * limit for limit in (mean.low, mean.high))
        steps.append(Step(float(judge[here].mean()), low + width * mean.value, lower, upper, int(here.sum())))
    return tuple(steps)


def _mean(values: Floats, items: Sequence[str]) -> Figure:
    """Mean of values that may be negative, with a clustered t interval."""
    return figure(lambda: paired_difference(values, 0.0 * values, items, bounded=False))
