"""From a spec string such as `openai:NAME` to a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from medbench.errors import InputError, Problem
from medbench.models.images import ImageLimits
from medbench.models.model import Model
from medbench.plugins import MODELS, load_plugin, plugin_names
from medbench.text import say


class ModelOptions(msgspec.Struct, frozen=True):
    """What a user may say about a model besides its spec.

    Attributes:
        base_url: Address of the endpoint.
        api_key_env: Name of the environment variable that holds the key.
        parameters: Sampling parameters sent with each request.
        timeout_s: Whole time of one send.
        folder: Where a relative path in the spec begins.
        images: Limits of the images that its endpoint takes; None: none are to be sent.
    """

    base_url: str | None = None
    api_key_env: str | None = None
    parameters: Mapping[str, object] = {}
    timeout_s: float = 600.0
    folder: Path = Path()
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

    return AnswersModel(options.folder / path)


def _local(name: str, options: ModelOptions) -> Model:
    from medbench.models.local import LocalModel

    if options.base_url:
        raise InputError(Problem(message=say("models.local_base_url", name=name), field="--base-url"))
    return LocalModel(name, parameters=options.parameters)


BUILT_IN: Mapping[str, Callable[[str, ModelOptions], Model]] = {
    "openai": _openai,
    "answers": _answers,
    "local": _local,
}


def create_model(spec: str, options: ModelOptions) -> Model:
    """Make the model that a spec string names; third parties add kinds by entry points `medbench.models`.

    Raises:
        InputError: The spec or the options can't be used.
    """
    kind, _, name = spec.partition(":")
    if not name:
        raise InputError(Problem(message=say("models.bad_spec", spec=spec), field="--model"))
    make: Callable[[str, ModelOptions], Model] | None = load_plugin(MODELS, kind, taken=BUILT_IN, field="--model")
    make = make or BUILT_IN.get(kind)
    if make is None:
        known = ", ".join(sorted({*BUILT_IN, *plugin_names(MODELS)}))
        raise InputError(Problem(message=say("models.unknown_kind", kind=kind, known=known), field="--model"))
    return make(name, options)
