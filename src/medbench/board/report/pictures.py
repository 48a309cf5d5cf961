"""What the report says of pictures: what they add, perception against reasoning, the worst boxes and volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medbench.board.report.boxes import BoxCase
from medbench.board.report.figures import NOTHING, difference, estimate_text, number
from medbench.board.report.volumes import DrawnSlice, VolumeCase
from medbench.stats import half_up

if TYPE_CHECKING:
    from medbench.board.report.view import View

WORDED = (
    *("keys_gone", "keys_changed", "no_file", "no_metric", "not_shown", "too_many_bytes"),
    *("packages_missing", "volume_missing", "volume_unusable", "mask_unusable"),
)
"""Reasons with words of their own; a metric of others may have further ones."""


@dataclass(frozen=True, slots=True)
class EffectLine:
    """A group of items with and without its pictures."""

    name: str
    items: str
    pictures: str
    own: str
    removed: str
    swapped: str
    own_less_removed: str
    own_less_swapped: str


@dataclass(frozen=True, slots=True)
class ProbeLine:
    """Perception against reasoning on the same pictures."""

    name: str
    pictures: str
    perception: str
    reasoning: str
    gap: str


@dataclass(frozen=True, slots=True)
class DetailLine:
    """A secondary figure of a part of a dataset."""

    name: str
    detail: str
    value: str
    n: str


def effect_lines(view: View) -> list[EffectLine]:
    """Dimensions, kinds of probe and all together; none without a control."""
    if view.effects is None:
        return []
    return [
        EffectLine(
            name=view.t(f"group_{row.id or row.group}") if row.title is None else view.title(row.title),
            items=f"{row.n:,}",
            pictures=f"{row.clusters:,}",
            own=number(row.own),
            removed=number(row.removed),
            swapped=number(row.swapped),
            own_less_removed=difference(row.own_less_removed),
            own_less_swapped=difference(row.own_less_swapped),
        )
        for row in view.effects.controls
    ]


def probe_lines(view: View) -> list[ProbeLine]:
    """Dimensions that have both kinds of probe, and all together."""
    if view.effects is None:
        return []
    return [
        ProbeLine(
            name=view.t("group_overall") if row.title is None else view.title(row.title),
            pictures=f"{row.pictures:,}",
            perception=f"{number(row.perception)} ({row.perception_items:,})",
            reasoning=f"{number(row.reasoning)} ({row.reasoning_items:,})",
            gap=difference(row.gap),
        )
        for row in view.effects.probes
    ]


def effect_notes(view: View) -> list[str]:
    """What to bear in mind."""
    effects = view.effects
    if effects is None:
        return []
    notes = [view.t("effects_legend")]
    if effects.left_out:
        notes.append(view.t("effects_left_out", count=f"{effects.left_out:,}"))
    if effects.not_compared:
        notes.append(view.t("effects_not_compared", names=view.names(effects.not_compared)))
    return notes


def detail_lines(view: View) -> list[DetailLine]:
    """Secondary figures of all parts."""
    return [
        DetailLine(
            name=name,
            detail=view.code("detail_", detail),
            value=estimate_text(figure),
            n=f"{figure.n:,} / {figure.clusters:,}",
        )
        for name, part in view.summary.named_parts()
        for detail, figure in part.details.items()
    ]


def box_caption(view: View, case: BoxCase) -> str:
    """Score of a picture, its boxes, and what is wrong with those of the answer."""
    pairs = ", ".join(str(half_up(iou, 2)) for iou in case.pairs) or NOTHING
    counts = {"true": len(case.true), "given": case.answered}
    text = view.t("box_caption", score=number(100 * case.value), pairs=pairs, **counts)
    if case.faults:
        named = view.names(view.t("box_fault", place=place, why=view.t(code)) for place, code in case.faults[:5])
        text = view.t("box_caption_faults", text=text, faults=named)
    return text if case.image else view.t("box_caption_no_image", text=text)


def volume_caption(view: View, case: VolumeCase) -> str:
    """Score of a volume, and what its slices show or why they are not shown."""
    score = (
        view.t("volume_healthy", count=case.false_positives)
        if case.value is None
        else view.t("volume_dice", score=number(100 * case.value))
    )
    shown = case.shown
    if shown is None:
        why = view.t(f"unshown_{case.why}") if case.why in WORDED else case.why
        return view.t("volume_without_slices", score=score, why=why)
    return view.t(
        "volume_caption",
        score=score,
        shown=len(shown.slices),
        marked=shown.marked,
        total=shown.total,
        spacing=" × ".join(str(half_up(size, 2)) for size in shown.spacing_mm),
        window=" … ".join(f"{limit:g}" for limit in shown.window_hu),
    )


def slice_caption(view: View, case: VolumeCase, drawn: DrawnSlice) -> str:
    """Which slice it is, where it lies, and how much is marked in it."""
    assert case.shown is not None
    made = drawn.made
    return view.t(
        "slice_caption",
        index=made.index,
        last=case.shown.total - 1,
        position=half_up(made.position_mm),
        true=f"{made.true_mm2:,.0f}",
        given=f"{made.given_mm2:,.0f}",
    )
