"""A suite: several models over the same items with the same judges, from one file; each model is a run of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from medbench.agents.limits import ItemLimits
from medbench.catalog.model import TRACKS
from medbench.engine.progress import Watch
from medbench.errors import InputError, Problem
from medbench.items.source import open_source
from medbench.models.images import ImageLimits
from medbench.models.registry import ModelOptions, create_model
from medbench.runs.config import RUN_FILE, Disclosure, Selection
from medbench.runs.execute import Outcome, resume_run, start_run
from medbench.runs.judges import Judge, JudgeSpec, read_judge
from medbench.runs.plan import selected
from medbench.runs.settings import Settings
from medbench.text import say

RUNS_FOLDER = "runs"
_NAME = re.compile(r"[\w][\w.\-]{0,63}")


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


def read_suite(path: Path) -> Suite:
    """Read a suite from YAML.

    Raises:
        InputError: With everything that is wrong with it.
    """
    import yaml

    try:
        content: Any = yaml.safe_load(path.read_text("utf-8-sig"))
        suite = msgspec.convert(content, Suite)
    except OSError as error:
        raise InputError(
            Problem(message=say("runs.bad_suite", reason=error.strerror or error), file=str(path))
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        reason = " ".join(str(error).split())
        raise InputError(Problem(message=say("runs.bad_suite", reason=reason), file=str(path))) from error
    problems = []
    names = [model.name for model in suite.models]
    if not names:
        problems.append(Problem(message=say("runs.suite_no_models"), file=str(path), field="models"))
    for index, name in enumerate(names):
        if not _NAME.fullmatch(name) or name in names[:index]:
            problems.append(
                Problem(message=say("runs.suite_bad_name", name=name), file=str(path), field=f"models[{index}].name")
            )
    if suite.selection.media_control != "none":
        field = "selection.media_control"
        problems.append(Problem(message=say("board.media_control"), file=str(path), field=field))
    if problems:
        raise InputError(*problems)
    return suite


def run_suite(
    path: Path, out: Path, *, on_run: Callable[[str], None] | None = None, watch: Watch | None = None
) -> dict[str, Outcome]:
    """Run every model of a suite, one after the other; what is there already is gone on with.

    Args:
        path: The suite file.
        out: Folder of the suite; `runs/NAME` in it holds each run.
        on_run: Told the name of each model before its run.
        watch: Sees the progress of the run under way.

    Raises:
        InputError: With everything that is wrong with the suite, before anything is asked.
    """
    suite = read_suite(path)
    here = path.parent
    source_path = _at(here, suite.items)
    judges, models, problems = _made(suite, here)
    if problems:
        raise InputError(*problems)
    catalog = _at(here, suite.catalog) if suite.catalog else None
    source = open_source(source_path, catalog_folder=catalog)
    names = {question.dataset for question, _ in selected(source, suite.selection)}
    tracks = sorted({source.catalog.dataset(name).track for name in names}, key=TRACKS.index)
    if len(tracks) > 1:
        message = say("runs.suite_several_tracks", tracks=", ".join(tracks))
        raise InputError(Problem(message=message, file=str(path), field="selection.track"))
    outcomes = {}
    for contender in suite.models:
        run_dir = out / RUNS_FOLDER / contender.name
        if on_run:
            on_run(contender.name)
        if (run_dir / RUN_FILE).exists():
            outcomes[contender.name] = resume_run(run_dir, judges=judges, watch=watch)
            continue
        settings = Settings(
            concurrency=contender.concurrency,
            budget_tokens=suite.budget_tokens,
            price_input=contender.price_input,
            price_output=contender.price_output,
            cache=str(_at(here, suite.cache)) if suite.cache else None,
            timeout_s=suite.timeout_s,
        )
        outcomes[contender.name] = start_run(
            run_dir,
            source,
            models[contender.name],
            suite.selection,
            settings,
            disclosure=suite.disclosure,
            catalog_folder=catalog,
            item_limits=suite.item_limits,
            judges=judges,
            watch=watch,
        )
    return outcomes


def _made(suite: Suite, here: Path) -> tuple[Sequence[Judge], dict[str, Any], list[Problem]]:
    """Judges and models, or all that is wrong with them."""
    problems: list[Problem] = []
    judges, models = [], {}
    for each in suite.judges:
        try:
            judges.append(Judge(each) if isinstance(each, JudgeSpec) else read_judge(str(_at(here, each))))
        except InputError as error:
            problems += error.problems
    for contender in suite.models:
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
            problems += [msgspec.structs.replace(each, field=f"models.{contender.name}") for each in error.problems]
    return judges, models, problems


def _at(folder: Path, path: str) -> Path:
    return folder / path if path else folder
