"""From a spec string such as `openai:NAME` to a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

import msgspec

from medbench.errors import InputError, Problem
from medbench.models.images import ImageLimits
from medbench.models.model import Model
from medbench.text import say

ENTRY_POINTS = "medbench.model"


class ModelOptions(msgspec.Struct, frozen=True):
    """What a user may say about a model besides its spec.

    Attributes:
        base_url: Address of the endpoint.
        api_key_env: Name of the environment variable that holds the key.
        parameters: Sampling parameters sent with each request.
        timeout_s: Whole time of one send.
        images: Limits of the images that its endpoint takes; None: none are to be sent.
    """

    base_url: str | None = None
    api_key_env: str | None = None
    parameters: Mapping[str, object] = {}
    timeout_s: float = 600.0
    images: ImageLimits | None = ImageLimits()


def _openai(name: str, options: ModelOptions) -> Model:
    from medbench.models.openai import OpenAIModel

    if not options.base_url:
        raise InputError(Problem(message=say("models.no_base_url"), field="--base-url"))
    return OpenAIModel(
        name,
        options.base_url,
        parameters=options.parameters,
        api_key_env=options.api_key_env,
        timeout_s=options.timeout_s,
        images=options.images,
    )


def _answers(path: str, options: ModelOptions) -> Model:
    from medbench.models.answers import AnswersModel

    return AnswersModel(Path(path))


def _local(name: str, options: ModelOptions) -> Model:
    from medbench.models.local import LocalModel

    return LocalModel(name, parameters=options.parameters)


BUILT_IN: Mapping[str, Callable[[str, ModelOptions], Model]] = {
    "openai": _openai,
    "answers": _answers,
    "local": _local,
}


def create_model(spec: str, options: ModelOptions) -> Model:
    """Make the model that a spec string names; third parties add kinds by entry points `medbench.model`.

    Raises:
        InputError: The spec or the options can't be used.
    """
    kind, _, name = spec.partition(":")
    if not name:
        raise InputError(Problem(message=say("models.bad_spec", spec=spec), field="--model"))
    if kind in BUILT_IN:
        return BUILT_IN[kind](name, options)
    for entry_point in metadata.entry_points(group=ENTRY_POINTS):
        if entry_point.name == kind:
            model: Model = entry_point.load()(name, options)
            return model
    raise InputError(
        Problem(message=say("models.unknown_kind", kind=kind, known=", ".join(sorted(BUILT_IN))), field="--model")
    )
