"""What the report says of how a run was made, and of what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from medbench.stats import half_up

if TYPE_CHECKING:
    from medbench.board.report.view import View


def usage_rows(view: View) -> list[tuple[str, str]]:
    """(what, number) of what the run took."""
    summary = view.summary
    rows = [
        (view.t("requests"), f"{summary.requests:,}"),
        (view.t("cached"), f"{summary.cached:,}"),
        (view.t("input_tokens"), f"{summary.input_tokens:,}"),
        (view.t("output_tokens"), f"{summary.output_tokens:,}"),
    ]
    if view.price.input or view.price.output:
        cost = view.price.cost(summary.input_tokens, summary.output_tokens)
        prices = {"input": f"{view.price.input:g}", "output": f"{view.price.output:g}"}
        rows.append((view.t("cost", **prices), str(half_up(cost, 4))))
    if summary.latency_s:
        rows.append((view.t("latency"), " / ".join(str(half_up(each, 2)) for each in summary.latency_s.values())))
    return rows


def pin_rows(view: View) -> list[tuple[str, str]]:
    """(what, value) of everything that decides what was measured."""
    pins = view.summary.pins
    model, selection = pins.model, pins.selection
    control = selection.media_control
    rows = [
        ("pin_model", model.spec),
        ("pin_revision", model.revision or view.t("unknown")),
        ("pin_endpoint", model.endpoint),
        ("pin_served", view.names(view.summary.served_models)),
        ("pin_parameters", msgspec.json.encode(model.parameters).decode() if model.parameters else ""),
        ("pin_images", _image_limits(view)),
        ("pin_items", pins.items),
        ("pin_items_fingerprint", pins.items_fingerprint),
        ("pin_keys_fingerprint", view.summary.keys_fingerprint),
        ("pin_catalog", pins.catalog_version),
        ("pin_selection", _selection(view)),
        ("pin_seed", str(selection.seed) if selection.sample is not None or control == "swapped" else ""),
        ("pin_orders", view.t(f"orders_{selection.orders}")),
        ("pin_media_control", "" if control == "none" else view.t(f"control_{control}")),
        ("pin_epochs", str(selection.epochs) if selection.epochs > 1 else ""),
        ("pin_disclosure", view.t(f"disclosure_{pins.disclosure}")),
        (
            "pin_judge",
            view.names(f"{use.judge.model.spec} [{use.judge.id}]" for use in view.summary.judges) or view.t("no_judge"),
        ),
        (
            "pin_ratings",
            view.names(f"{file.name} [{file.sha256[:12]}]" for file in summary_people.files)
            if (summary_people := view.summary.people)
            else "",
        ),
        ("pin_code", f"{pins.code_version} / {pins.python}"),
        ("pin_config", pins.config_hash()),
    ]
    return [(view.t(name), value) for name, value in rows if value]


def _image_limits(view: View) -> str:
    limits, media = view.summary.pins.model.images, view.summary.media
    if limits is None or media is None or not media.responses:
        return ""
    return view.t("image_limits", side=f"{limits.side:,}", size=f"{limits.size:,}", count=limits.count)


def _selection(view: View) -> str:
    selection = view.summary.pins.selection
    words = []
    if selection.track:
        words.append(view.t("select_track", track=view.track(selection.track)))
    if selection.datasets:
        words.append(view.t("select_datasets", names=view.names(selection.datasets)))
    if selection.limit is not None:
        words.append(view.t("select_limit", count=selection.limit))
    if selection.sample is not None:
        words.append(view.t("select_sample", count=selection.sample))
    return "; ".join(words) or view.t("all_items")
