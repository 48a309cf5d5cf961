"""The command line that asks the same again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import msgspec

from medbench.models.images import ImageLimits
from medbench.runs.config import Pins
from medbench.runs.judges import PARAMETERS
from medbench.scoring.judging.plan import JudgePins


def command_line(pins: Pins, judges: Sequence[JudgePins] = ()) -> str:
    r"""The `medbench run` command of a run, quoted for a POSIX shell, one option per line (joined by `\`).

    Args:
        pins: Of the run.
        judges: To be asked again; `judge_files` shows the files that are named.
    """
    model, selection = pins.model, pins.selection
    options: list[tuple[str, object]] = [("--items", pins.items), ("--model", model.spec)]
    if model.endpoint:
        options.append(("--base-url", model.endpoint))
    if model.api_key_env:
        options.append(("--api-key-env", model.api_key_env))
    for name, value in {**_removed_defaults(pins), **model.parameters}.items():
        options.append(("--parameter", f"{name}={msgspec.json.encode(value).decode()}"))
    if model.images:
        defaults = ImageLimits()
        for option, name in (("--image-side", "side"), ("--image-bytes", "size"), ("--image-count", "count")):
            if (value := getattr(model.images, name)) != getattr(defaults, name):
                options.append((option, value))
    if selection.track:
        options.append(("--track", selection.track))
    options += [("--dataset", name) for name in selection.datasets]
    if selection.limit is not None:
        options.append(("--limit", selection.limit))
    if selection.sample is not None:
        options.append(("--sample", selection.sample))
    if selection.seed:
        options.append(("--seed", selection.seed))
    if selection.orders != "rotate":
        options.append(("--orders", selection.orders))
    if selection.media_control != "none":
        options.append(("--media-control", selection.media_control))
    if selection.epochs > 1:
        options.append(("--epochs", selection.epochs))
    if pins.disclosure != "local":
        options.append(("--disclosure", pins.disclosure))
    if pins.catalog_folder:
        options.append(("--catalog", pins.catalog_folder))
    files = judge_files(judges)
    options += [("--judge", name) for name in files]
    if judges and not files:
        options += [("--judge", judge.model.spec) for judge in judges]
        if judges[0].model.endpoint:
            options.append(("--judge-base-url", judges[0].model.endpoint))
        if judges[0].model.api_key_env:
            options.append(("--judge-api-key-env", judges[0].model.api_key_env))
    options.append(("--out", "repeated-run"))
    # NAME=VALUE keeps a value that begins with a dash from being read as an option.
    return " \\\n  ".join(["medbench run", *(f"{name}={shlex.quote(str(value))}" for name, value in options)])


def judge_files(judges: Sequence[JudgePins]) -> dict[str, str]:
    """Name -> content of the judge files that ask these judges again; none where options alone say it all."""
    ways = {(judge.model.endpoint, judge.model.api_key_env, judge.repeats, judge.points) for judge in judges}
    alike = len(ways) == 1 and {way[2:] for way in ways} == {(1, "together")}
    if not judges or (alike and all(judge.model.parameters == _judge_defaults(judge) for judge in judges)):
        return {}
    return {f"judge-{number}.toml": _judge_file(judge) for number, judge in enumerate(judges, 1)}


def _judge_file(judge: JudgePins) -> str:
    model = judge.model
    fields = {"model": model.spec, "base_url": model.endpoint, "api_key_env": model.api_key_env}
    lines = [f"{name} = {_toml(value)}" for name, value in fields.items() if value]
    lines += [f"repeats = {judge.repeats}", f"points = {_toml(judge.points)}"]
    if model.parameters:
        lines.append(f"parameters = {_toml(model.parameters)}")
    return "\n".join(lines)


def _toml(value: object) -> str:
    """A value in one line of TOML, whose strings, numbers and lists are those of JSON."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return msgspec.json.encode(value).decode()


def _judge_defaults(judge: JudgePins) -> dict[str, object]:
    if not judge.model.spec.startswith("openai:"):
        return dict(PARAMETERS)
    from medbench.models.openai import DEFAULTS

    return {**DEFAULTS, **PARAMETERS}


def _removed_defaults(pins: Pins) -> dict[str, None]:
    """Defaults of the endpoint's requests that this run did not send: they have to be taken away again."""
    if not pins.model.spec.startswith("openai:"):
        return {}
    from medbench.models.openai import DEFAULTS

    return dict.fromkeys(name for name in DEFAULTS if name not in pins.model.parameters)
