"""A suite: several models over the same items with the same judges, from one file; each model is a run of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from medbench.agents.limits import ItemLimits
from medbench.catalog.model import TRACKS
from medbench.engine.progress import Watch
from medbench.errors import InputError
from medbench.items.source import ItemSource, open_source
from medbench.models.images import ImageLimits
from medbench.models.model import Identity, Model
from medbench.models.registry import ModelOptions, create_model
from medbench.runs.config import RUN_FILE, Disclosure, Pins, Selection, read_pins
from medbench.runs.execute import Outcome, disclosed, resume_run, start_run
from medbench.runs.judges import Judge, JudgeSpec, read_judge
from medbench.runs.plan import selected
from medbench.runs.settings import Settings, read_settings
from medbench.store.document import Document
from medbench.store.strict_yaml import read_yaml

RUNS_FOLDER = "runs"
_NAME = re.compile(r"[\w][\w.\-]{0,63}")
_SETTINGS = ("concurrency", "budget_tokens", "price_input", "price_output", "cache", "timeout_s")
"""Settings that a suite names. They may change from one session to the next; all others stay as a run has them."""


class Contender(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model of a suite.

    Attributes:
        name: Folder of its run, and its name on the board.
        model: Spec string such as `openai:NAME`.
        base_url: Address of its endpoint.
        api_key_env: Name of the environment variable that holds the key.
        parameters: Sampling parameters.
        concurrency: Most calls in flight; None: found by trying.
        price_input: Per million tokens.
        price_output: Per million tokens.
        images: Limits of the images that its endpoint takes.
    """

    name: str
    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    parameters: dict[str, object] = {}
    concurrency: int | None = None
    price_input: float = 0.0
    price_output: float = 0.0
    images: ImageLimits = ImageLimits()


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A suite file.

    Attributes:
        items: Item file, bank or official release; a relative path begins at the suite file's folder.
        models: At least one.
        judges: Judges of open answers: their fields, or the path of a judge file.
        selection: Which items are asked; all of one track, as a board ranks one.
        disclosure: As in a run.
        catalog: Folder of own dataset definitions.
        cache: File of the response cache; empty: none.
        budget_tokens: Most tokens of each run.
        timeout_s: Whole time of one send.
        item_limits: Of each item in an environment.
    """

    items: str
    models: tuple[Contender, ...]
    judges: tuple[JudgeSpec | str, ...] = ()
    selection: Selection = Selection()
    disclosure: Disclosure = "local"
    catalog: str = ""
    cache: str = ""
    budget_tokens: int | None = None
    timeout_s: float = 600.0
    item_limits: ItemLimits = ItemLimits()


def read_suite(path: Path) -> tuple[Suite, Document]:
    """Read a suite from YAML.

    Returns:
        The suite, and the file; where that has problems, the suite is good for nothing but to look for more of them.

    Raises:
        InputError: It can't be read as YAML.
    """
    document = read_yaml(path)
    suite = document.read(Suite)
    if not suite.models and not document.is_wrong("models"):
        document.problem("runs.suite_no_models", "models")
    names = [model.name for model in suite.models or ()]
    for index, name in enumerate(names):
        if name is not None and (not _NAME.fullmatch(name) or name in names[:index]):
            document.problem("runs.suite_bad_name", f"models[{index}].name", name=name)
    if suite.selection.media_control != "none":
        document.problem("board.media_control", "selection.media_control")
    return suite, document


def run_suite(
    path: Path, out: Path, *, on_run: Callable[[str], None] | None = None, watch: Watch | None = None
) -> dict[str, Outcome]:
    """Run every model of a suite, one after the other; what is there already is gone on with.

    Whatever decides what is asked must be as it was when a run that is there began: else runs over different items, or
    of another model, would be ranked as those of this suite.

    Args:
        path: The suite file.
        out: Folder of the suite; `runs/NAME` in it holds each run.
        on_run: Told the name of each model before its run.
        watch: Sees the progress of the run under way.

    Raises:
        InputError: With everything that is wrong with the suite, before anything is asked.
    """
    suite, document = read_suite(path)
    here = path.parent
    judges, models = _made(suite, document, here)
    if document.problems:
        raise InputError(*document.problems)
    source_path = _at(here, suite.items)
    catalog = _at(here, suite.catalog) if suite.catalog else None
    source = open_source(source_path, catalog_folder=catalog)
    names = {question.dataset for question, _ in selected(source, suite.selection)}
    tracks = sorted({source.catalog.dataset(name).track for name in names}, key=TRACKS.index)
    if len(tracks) > 1:
        document.problem("runs.suite_several_tracks", "selection.track", tracks=", ".join(tracks))
        raise InputError(*document.problems)
    there = {
        contender.name: read_pins(out / RUNS_FOLDER / contender.name)
        for contender in suite.models
        if (out / RUNS_FOLDER / contender.name / RUN_FILE).exists()
    }
    _refuse_changes(suite, document, source, models, there)
    settings = {
        contender.name: Settings(
            concurrency=contender.concurrency,
            budget_tokens=suite.budget_tokens,
            price_input=contender.price_input,
            price_output=contender.price_output,
            cache=str(_at(here, suite.cache)) if suite.cache else None,
            timeout_s=suite.timeout_s,
        )
        for contender in suite.models
    }
    changes = {name: {field: getattr(of_run, field) for field in _SETTINGS} for name, of_run in settings.items()}
    for name in there:
        read_settings(out / RUNS_FOLDER / name, changes[name])  # what can't be is told before anything is asked
    outcomes = {}
    for contender in suite.models:
        run_dir = out / RUNS_FOLDER / contender.name
        if on_run:
            on_run(contender.name)
        if contender.name in there:
            moved = there[contender.name].items != str(source.path.resolve())
            outcomes[contender.name] = resume_run(
                run_dir,
                changes[contender.name],
                items=source.path if moved else None,
                judges=judges,
                watch=watch,
            )
            continue
        outcomes[contender.name] = start_run(
            run_dir,
            source,
            models[contender.name],
            suite.selection,
            settings[contender.name],
            disclosure=suite.disclosure,
            catalog_folder=catalog,
            item_limits=suite.item_limits,
            judges=judges,
            watch=watch,
        )
    return outcomes


def _refuse_changes(
    suite: Suite, document: Document, source: ItemSource, models: Mapping[str, Model], there: Mapping[str, Pins]
) -> None:
    """Hold the suite against the runs that are there.

    Raises:
        InputError: With each difference, and the runs that have it.
    """
    runs: dict[tuple[str, str, str], list[str]] = {}
    for index, contender in enumerate(suite.models):
        if contender.name in there:
            pins = there[contender.name]
            differing = (
                *_of_all(pins, suite, source),
                *_of_model(pins.model, models[contender.name].identity, f"models[{index}]"),
            )
            for difference in differing:
                runs.setdefault(difference, []).append(contender.name)
    for (place, then, now), names in runs.items():
        document.problem("runs.suite_changed", place, runs=", ".join(names), then=then, now=now)
    if document.problems:
        raise InputError(*document.problems)


def _of_all(pins: Pins, suite: Suite, source: ItemSource) -> Iterator[tuple[str, str, str]]:
    """(place, then, now) of what all models of a suite have in common, where it differs."""
    if pins.items_fingerprint != source.fingerprint:
        both = (pins.items, pins.items_fingerprint), (source.path.resolve(), source.fingerprint)
        then, now = (f"{path} [{fingerprint[:12]}]" for path, fingerprint in both)
        yield "items", then, now
    if pins.catalog_version != source.catalog.version:
        yield "catalog", pins.catalog_version, source.catalog.version
    disclosure = disclosed(source, suite.disclosure)
    if pins.disclosure != disclosure:
        yield "disclosure", pins.disclosure, disclosure
    yield from _of_fields(pins.selection, suite.selection, "selection")
    yield from _of_fields(pins.item_limits, suite.item_limits, "item_limits")


def _of_model(then: Identity, now: Identity, place: str) -> Iterator[tuple[str, str, str]]:
    """(place, then, now) of what differs in a model."""
    if then.spec != now.spec:
        yield f"{place}.model", then.spec, now.spec
    elif then.revision != now.revision:
        yield f"{place}.model", then.revision or "?", now.revision or "?"
    if then.endpoint != now.endpoint:
        yield f"{place}.base_url", then.endpoint or "?", now.endpoint or "?"
    yield from _of_fields(then, now, place, ("api_key_env", "parameters", "images"))


def _of_fields(
    then: msgspec.Struct, now: msgspec.Struct, place: str, names: Sequence[str] | None = None
) -> Iterator[tuple[str, str, str]]:
    for name in names or then.__struct_fields__:
        old, new = (msgspec.json.encode(getattr(each, name), order="sorted").decode() for each in (then, now))
        if old != new:
            yield f"{place}.{name}", old, new


def _made(suite: Suite, document: Document, here: Path) -> tuple[Sequence[Judge], Mapping[str, Model]]:
    """Judges and models; all that is wrong with them goes to the problems of the file."""
    judges, models = [], {}
    for index, each in enumerate(suite.judges):
        try:
            if isinstance(each, str):
                judges.append(read_judge(str(_at(here, each))))
            elif each.model is not None:  # else it could not be read
                judges.append(Judge(each))
        except InputError as error:
            document.problems += (document.of_option(problem, f"judges[{index}]") for problem in error.problems)
    for index, contender in enumerate(suite.models or ()):
        if contender.model is None:
            continue
        options = ModelOptions(
            base_url=contender.base_url,
            api_key_env=contender.api_key_env,
            parameters=contender.parameters,
            timeout_s=suite.timeout_s,
            folder=here,
            images=contender.images,
        )
        try:
            models[contender.name] = create_model(contender.model, options)
        except InputError as error:
            document.problems += (document.of_option(problem, f"models[{index}]") for problem in error.problems)
    return judges, models


def _at(folder: Path, path: str) -> Path:
    return folder / path if path else folder
