"""Start a run and resume it: plan, ask, compact, score."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from medbench.agents.environment import ENVIRONMENT
from medbench.agents.limits import ItemBounds, ItemLimits
from medbench.agents.registry import require_environments
from medbench.agents.session import works_with_tools
from medbench.engine.budget import Budget, Price
from medbench.engine.cache import ResponseCache
from medbench.engine.ledger import Ledger, Recorder
from medbench.engine.local import SMOKE_ITEMS, Stopped, dispatch, smoke
from medbench.engine.meter import Meter
from medbench.engine.progress import Progress, Watch, show
from medbench.errors import InputError, Problem, WorkError
from medbench.items.media import pictures
from medbench.items.model import Media
from medbench.items.source import ItemSource, open_source
from medbench.models.images import ImageLimits
from medbench.models.model import Identity, Model
from medbench.models.preparation import MediaPreparer, require_libraries
from medbench.models.registry import ModelOptions, create_model
from medbench.runs.ask import AskHandler
from medbench.runs.config import RUN_FILE, Disclosure, Pins, Selection, read_pins, write_pins
from medbench.runs.judges import Judge, add_judges, judge_ledger
from medbench.runs.judging import judge_answers
from medbench.runs.plan import KIND, asked, call_key, selected, variants
from medbench.runs.settings import NO_CHANGES, Settings, read_settings, write_settings
from medbench.scoring.asked import Asked
from medbench.scoring.file_metrics import require_metrics
from medbench.scoring.judging.rubric import check_rubrics
from medbench.store.artifacts import ARTIFACTS_FOLDER, Artifacts
from medbench.store.files import exclusive
from medbench.text import say

if TYPE_CHECKING:
    from medbench.scoring.score import Figures

LEDGER_FILE = "ledger.sqlite"
MEDIA_FOLDER = "media"
PLAN_SLICE = 128


class Outcome(msgspec.Struct, frozen=True):
    """What a session of a run ended with.

    Attributes:
        figures: Of all responses there are.
        stopped: Code of the reason where the run stopped before its end; empty: it is complete.
        reason: The same for a person.
        wall_s: Seconds of this session.
    """

    figures: Figures
    stopped: str
    reason: str
    wall_s: float


def start_run(
    run_dir: Path,
    source: ItemSource,
    model: Model,
    selection: Selection,
    settings: Settings,
    *,
    disclosure: Disclosure,
    catalog_folder: Path | None = None,
    item_limits: ItemLimits = ItemLimits(),  # noqa: B008 - frozen
    judges: Sequence[Judge] = (),
    watch: Watch | None = None,
) -> Outcome:
    """Plan a new run and execute it; judges judge while answers come in.

    Raises:
        InputError: The folder already holds a run, or the selection asks for nothing.
        WorkError: The disk, the ledger or the bundled model failed.
    """
    started = time.perf_counter()
    _refuse_existing(run_dir)
    if item_limits.cost is not None and settings.price == Price():
        raise InputError(Problem(message=say("runs.item_cost_without_price"), field="--max-item-cost"))
    items = calls = 0
    metrics: set[str] = set()
    environments: set[str] = set()
    missing: Counter[Media] = Counter()
    pictured = False
    for question, part in selected(source, selection):
        items += 1
        metrics.update(part.metrics)
        if ENVIRONMENT in question.meta:
            environments.add(str(question.meta[ENVIRONMENT]))
            if works_with_tools(model):  # else no environment is made
                missing.update({medium for medium in question.media if medium.is_data and medium.missing})
        pictured = pictured or any(medium.sha256 for medium in pictures(question.media))
        calls += len(variants(question, part, selection)) * selection.epochs
    if not items:
        raise InputError(Problem(message=say("runs.nothing_selected"), field="--items"))
    if pictured and model.identity.images is not None:
        require_libraries()
    # Also where no judge is asked yet: a name that is mended later makes another catalog, by which no run can go on.
    check_rubrics(source.catalog.datasets.values())
    require_metrics(metrics)
    require_environments(environments, missing, source.path)
    model.check((call.question, call.variant, call.form.row) for call in asked(source, selection))
    pins = Pins(
        items=str(source.path.resolve()),
        items_fingerprint=source.fingerprint,
        catalog_version=source.catalog.version,
        catalog_folder=str(catalog_folder.resolve()) if catalog_folder else "",
        item_limits=item_limits,
        model=model.identity,
        selection=selection,
        disclosure=disclosed(source, disclosure),
        n_items=items,
        n_calls=calls,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    # Only now, so that a refusal leaves nothing behind.
    _make_folder(run_dir)
    with exclusive(run_dir):
        _refuse_existing(run_dir)
        write_settings(run_dir, settings)
        write_pins(run_dir, pins)
        return _execute(run_dir, source, model, pins, settings, judges, watch, started)


def resume_run(
    run_dir: Path,
    changes: Mapping[str, object] = NO_CHANGES,
    *,
    items: Path | None = None,
    judges: Sequence[Judge] = (),
    watch: Watch | None = None,
) -> Outcome:
    """Go on with a run: ask what has no response, judge what these judges have not, then compact and score everything.

    Args:
        run_dir: The run.
        changes: Settings that differ from those of the session before, by name.
        items: Where the items are now, if they were moved.
        judges: Judges to ask.
        watch: Sees the progress.

    Raises:
        InputError: The items, the catalog or the model are not those that the run began with.
    """
    started = time.perf_counter()
    pins, settings = read_pins(run_dir), read_settings(run_dir, changes)
    if items is not None:
        pins = msgspec.structs.replace(pins, items=str(items.resolve()))
    with exclusive(run_dir):
        source = open_pinned(pins)
        model = create_model(pins.model.spec, options_of(pins.model, settings))
        if model.identity.revision != pins.model.revision:
            raise InputError(
                say("runs.model_changed", then=pins.model.revision or "?", now=model.identity.revision or "?")
            )
        if items is not None:
            write_pins(run_dir, pins)
        if changes:
            write_settings(run_dir, settings)
        return _execute(run_dir, source, model, pins, settings, judges, watch, started)


def rescore(run_dir: Path, *, judges: Sequence[Judge] = (), watch: Watch | None = None) -> Outcome:
    """Score a run again with the scorer and the keys as they are now, judged first by these judges."""
    from medbench.runs.results import compact_responses, score_run

    started = time.perf_counter()
    pins, settings = read_pins(run_dir), read_settings(run_dir)
    stopped = reason = ""
    with exclusive(run_dir), closing(Ledger(run_dir / LEDGER_FILE)) as ledger:
        source = open_pinned(pins)
        if ledger.state()[0] == "answered":  # killed before its end: the tables may lack what it got
            compact_responses(run_dir, source, pins, ledger)
        if judges:
            stopped, reason = asyncio.run(_work(run_dir, source, None, pins, settings, judges, ledger, watch))
        figures = score_run(run_dir, source, pins, ledger)
        state = ledger.state()[0]
        whole = ledger.totals(KIND).responses >= pins.n_calls
        if state == "answered" or (state == "stopped" and whole and not stopped):
            ledger.set_state("scored")
    return Outcome(figures=figures, stopped=stopped, reason=reason, wall_s=time.perf_counter() - started)


def disclosed(source: ItemSource, wanted: Disclosure) -> Disclosure:
    """What a run discloses: no more than its items allow."""
    return "hidden" if "hidden" in (wanted, source.disclosure) else "local"


def open_pinned(pins: Pins) -> ItemSource:
    """Open the items of a run.

    Raises:
        InputError: They or the catalog changed since the run began.
    """
    if not Path(pins.items).exists():
        raise InputError(Problem(message=say("runs.items_gone"), file=pins.items))
    source = open_source(Path(pins.items), catalog_folder=pins.own_catalog)
    if source.fingerprint != pins.items_fingerprint:
        raise InputError(Problem(message=say("runs.items_changed"), file=pins.items))
    if source.catalog.version != pins.catalog_version:
        raise InputError(say("runs.catalog_changed", then=pins.catalog_version, now=source.catalog.version))
    return source


def options_of(identity: Identity, settings: Settings) -> ModelOptions:
    """The options that make the same model again."""
    return ModelOptions(
        base_url=identity.endpoint or None,
        api_key_env=identity.api_key_env or None,
        parameters=identity.parameters,
        timeout_s=settings.timeout_s,
        images=identity.images,
    )


def _execute(
    run_dir: Path,
    source: ItemSource,
    model: Model,
    pins: Pins,
    settings: Settings,
    judges: Sequence[Judge],
    watch: Watch | None,
    started: float,
) -> Outcome:
    ledger = Ledger(run_dir / LEDGER_FILE)
    try:
        ledger.begin(pins.config_hash())
        stopped, reason = asyncio.run(_work(run_dir, source, model, pins, settings, judges, ledger, watch))
        if not (run_dir / RUN_FILE).exists():
            raise WorkError(say("runs.folder_gone", path=run_dir))
        ledger.set_state("stopped" if stopped else "answered", reason)
        from medbench.runs.results import compact_responses, score_run  # late: asking need not wait for the scorer

        compact_responses(run_dir, source, pins, ledger)
        figures = score_run(run_dir, source, pins, ledger)
        if not stopped:
            ledger.set_state("scored")
    finally:
        ledger.close()
    return Outcome(figures=figures, stopped=stopped, reason=reason, wall_s=time.perf_counter() - started)


async def _work(
    run_dir: Path,
    source: ItemSource,
    model: Model | None,
    pins: Pins,
    settings: Settings,
    judges: Sequence[Judge],
    ledger: Ledger,
    watch: Watch | None,
) -> tuple[str, str]:
    """Ask the model what has no response, and the judges what they have not judged, at the same time.

    Where the model can't be asked any further, the judges still judge what there is.

    Returns:
        Code and reason where it stopped before its end, else two empty strings.
    """
    before = ledger.totals(KIND)
    progress = Progress(pins.n_calls, before, settings.price)
    judged = Progress(0)
    stop, answered = asyncio.Event(), asyncio.Event()
    asking = model is not None and before.responses < pins.n_calls
    if not asking and not judges:
        return "", ""
    _on_signals(stop)
    watching = [asyncio.create_task(_stop_without_folder(run_dir, stop))]
    if watch:
        watching.append(asyncio.create_task(show(lambda: judged if answered.is_set() else progress, watch)))
    with ExitStack() as files:
        judgements = ledger
        if judges:
            path = judge_ledger(run_dir, pins, Path(LEDGER_FILE))
            if path != ledger.path:
                _make_folder(path.parent)
                judgements = files.enter_context(closing(Ledger(path)))
            add_judges(run_dir, [judge.pins for judge in judges])
            if ledger.state()[0] == "scored":
                ledger.set_state("answered")  # until their judgements are scored too; also where this process is killed
        budget = _budget(settings, ledger, judgements, judges)
        judging = asyncio.create_task(
            judge_answers(
                *(source, pins, judges, settings, ledger, judgements),
                budget=budget,
                answering=answered,
                stop=stop,
                progress=judged,
            )
        )
        try:
            outcome = "", ""
            if asking and model is not None:
                outcome = await _ask(run_dir, source, model, pins, settings, budget, ledger, progress, stop)
            answered.set()
            verdict = await judging
            if outcome[0] and judges:
                outcome = outcome[0], f"{outcome[1]} {say('runs.judges_again')}"
            return outcome if outcome[0] else verdict
        finally:
            judging.cancel()
            await asyncio.gather(judging, return_exceptions=True)
            for task in watching:
                task.cancel()
            if watch:
                watch(judged if answered.is_set() and judges else progress)


def _budget(settings: Settings, answers: Ledger, judgements: Ledger, judges: Sequence[Judge]) -> Budget | None:
    """The budget of the run, with what all its sessions used so far."""
    if settings.budget_tokens is None and settings.budget_cost is None:
        return None
    budget = Budget(tokens=settings.budget_tokens, cost=settings.budget_cost, price=settings.price)
    before = answers.totals(KIND)
    budget.book(before.input_tokens, before.output_tokens)
    prices = {judge.pins.kind: judge.price for judge in judges}
    for kind in judgements.kinds():
        if kind != KIND:
            spent = judgements.totals(kind)
            budget.book(spent.input_tokens, spent.output_tokens, prices.get(kind))
    return budget


async def _ask(
    run_dir: Path,
    source: ItemSource,
    model: Model,
    pins: Pins,
    settings: Settings,
    budget: Budget | None,
    ledger: Ledger,
    progress: Progress,
    stop: asyncio.Event,
) -> tuple[str, str]:
    cache = ResponseCache(Path(settings.cache), model.identity) if settings.cache else None
    limits = settings.limits
    if model.most_in_flight is not None:
        wanted = limits.concurrency or model.most_in_flight
        limits = msgspec.structs.replace(limits, concurrency=min(wanted, model.most_in_flight))
    meter = Meter(limits, progress, budget=budget, cache=cache)
    preparer = MediaPreparer(
        _media_folder(run_dir, settings), source.media_path, model.identity.images or ImageLimits()
    )
    bounds = ItemBounds(pins.item_limits, settings.price)
    handler = AskHandler(model, meter, source.media_path, preparer, Artifacts(run_dir / ARTIFACTS_FOLDER), bounds)
    recorder = Recorder(ledger, KIND, lambda: meter.concurrency.limit)
    try:
        await model.open()
        ledger.set_state("running")
        calls = handler.ahead(_unanswered(source, pins, ledger))
        first, others = _first_items(calls)
        earlier = partial(_answered, source, pins, ledger)
        again = await smoke(first, handler, recorder, progress, stop, earlier)
        await dispatch(chain(again, others, calls), handler, recorder, progress, meter, stop, earlier)
    except Stopped as error:
        return error.code, str(error)
    finally:
        await model.close()
        await preparer.close()
        if cache:
            cache.close()
    return "", ""


def _media_folder(run_dir: Path, settings: Settings) -> Path:
    """Where prepared media are kept: beside the cache file, where there is one, so that runs share them."""
    return Path(f"{settings.cache}.media") if settings.cache else run_dir / MEDIA_FOLDER


def _first_items(calls: Iterator[Asked]) -> tuple[list[Asked], list[Asked]]:
    """A call of each of the first items, and what was read beside them: one bad item must not stop a run at once."""
    first: dict[str, Asked] = {}
    others = []
    for call in calls:
        if first.setdefault(call.item, call) is not call:
            others.append(call)
        elif len(first) == SMOKE_ITEMS:
            break
    return list(first.values()), others


def _unanswered(source: ItemSource, pins: Pins, ledger: Ledger) -> Iterator[Asked]:
    """The calls of the plan that have no result yet.

    Raises:
        WorkError: The ledger holds a result of another plan.
    """
    plan = asked(source, pins.selection)
    while calls := list(islice(plan, PLAN_SLICE)):
        done = ledger.done(KIND, calls[0].seq, calls[-1].seq)
        for call in calls:
            key = done.get(call.seq)
            if key is None:
                yield call
            elif key != call_key(call):
                raise WorkError(say("runs.foreign_result", path=ledger.path, uid=call.question.uid))


def _answered(source: ItemSource, pins: Pins, ledger: Ledger) -> Asked | None:
    """A call of an earlier session that the model answered."""
    seq = ledger.succeeded(KIND)
    return None if seq is None else next((call for call in asked(source, pins.selection) if call.seq == seq), None)


async def _stop_without_folder(run_dir: Path, stop: asyncio.Event) -> None:
    """SQLite goes on writing into a file that was deleted: answers paid for would be lost without a word."""
    while True:
        await asyncio.sleep(1.0)
        if not (run_dir / RUN_FILE).exists():
            stop.set()


def _on_signals(stop: asyncio.Event) -> None:
    """Ctrl-C and SIGTERM end the run in order; a second one ends it at once."""
    loop = asyncio.get_running_loop()

    def ask_to_stop(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ask_to_stop, number)
        except (NotImplementedError, RuntimeError, ValueError):
            return  # no signal handlers here (Windows, or not the main thread): kill -9 safety has to do


def _refuse_existing(run_dir: Path) -> None:
    if (run_dir / RUN_FILE).exists():
        raise InputError(Problem(message=say("runs.exists", path=run_dir), field="--out"))


def _make_folder(run_dir: Path) -> None:
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            Problem(message=say("store.unwritable", path=run_dir, error=error.strerror or error), field="--out")
        ) from error
