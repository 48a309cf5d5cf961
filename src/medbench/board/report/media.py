"""What the report says of pictures and documents: how they were sent, and why some could not be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medbench.board.report.figures import NOTHING

if TYPE_CHECKING:
    from medbench.board.report.view import View


@dataclass(frozen=True, slots=True)
class ImageLine:
    """An image that was not sent as it is."""

    uid: str
    file: str
    page: str
    how: str
    original: str
    sent: str
    window: str
    sha256: str


@dataclass(frozen=True, slots=True)
class MissingLine:
    """A question that was not asked for want of its media."""

    uid: str
    why: str
    detail: str


def media_counts(view: View) -> str:
    """How many images were sent, and how; empty where the run has no media."""
    use = view.summary.media
    if use is None or not (use.responses or use.missing):
        return ""
    how = {name: f"{use.by_how.get(name, 0):,}" for name in ("as_is", "converted", "rendered")}
    return view.t(
        "media_counts",
        images=f"{sum(use.by_how.values()):,}",
        responses=f"{use.responses:,}",
        smaller=f"{use.smaller:,}",
        missing=f"{use.missing:,}",
        **how,
    )


def image_lines(view: View) -> list[ImageLine]:
    """The first images that were not sent as they are."""
    use = view.summary.media
    lines = []
    for each in use.changed if use else ():
        image = each.image
        window = NOTHING
        if image.window:
            centre, width = image.window
            window = view.t("media_grey", centre=f"{centre:g}", width=f"{width:g}")
        lines.append(
            ImageLine(
                uid=each.uid,
                file=image.path,
                page=str(image.page or NOTHING),
                how=view.t(f"media_{image.how}"),
                original="{} × {}".format(*image.original),
                sent=f"{image.width} × {image.height}, {image.kind.upper()}, {image.size:,}",
                window=window,
                sha256=image.sha256[:12],
            )
        )
    return lines


def missing_lines(view: View) -> list[MissingLine]:
    """The first questions that were not asked for want of their media."""
    use = view.summary.media
    return [
        MissingLine(each.uid, view.code("media_reason_", each.code.removeprefix("media_")), each.detail)
        for each in (use.not_shown if use else ())
    ]
