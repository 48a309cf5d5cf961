"""The judges of a run: who they are and how they are asked; a judgement is a call of the ledger like any other."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal, Protocol, TypeVar

import msgspec

from medbench.catalog.model import AnswerForm, TextForm
from medbench.engine.budget import Price
from medbench.engine.ledger import Ledger, Result
from medbench.engine.limits import Limits
from medbench.engine.meter import Meter
from medbench.errors import InputError, Problem
from medbench.items.model import Media, Question
from medbench.models.clock import Clock
from medbench.models.images import PreparedImage
from medbench.models.model import Completion, Model, Response
from medbench.models.registry import ModelOptions, create_model
from medbench.models.tools import Tool
from medbench.runs.config import Pins
from medbench.scoring.asked import Asked
from medbench.scoring.judging.calibrate import Measured, read_measured
from medbench.scoring.judging.calls import JudgePlanner
from medbench.scoring.judging.judge import judge_once
from medbench.scoring.judging.people import Attached
from medbench.scoring.judging.plan import MOST_REPEATS, JudgeCall, JudgePins
from medbench.scoring.judging.sheet import CRITERION, SCALE
from medbench.store.document import Document
from medbench.store.files import exclusive, write_json
from medbench.text import say

JUDGES_FILE = "judges.json"
CALIBRATIONS_FILE = "calibrations.json"
RATINGS_FILE = "ratings.json"
PARAMETERS: Mapping[str, object] = {"max_tokens": 1024}
"""Enough for a verdict with its reason; a judge that reasons at length needs more, by its file."""
WAIT_S = 0.1

_encode = msgspec.json.Encoder().encode
Entry = TypeVar("Entry", JudgePins, Measured)


class JudgeSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A judge as a user names it; the fields of a judge file.

    Attributes:
        model: Spec string such as `openai:NAME`.
        base_url: Address of its endpoint.
        api_key_env: Name of the environment variable that holds the key.
        parameters: Sampling parameters, over `PARAMETERS`.
        repeats: How often each answer is judged.
        points: Key points `together` in a call, or `one_by_one`.
        concurrency: Most calls in flight; None: found by trying.
        price_input: Per million tokens.
        price_output: Per million tokens.
        timeout_s: Whole time of one send.
    """

    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    parameters: dict[str, object] = {}
    repeats: Annotated[int, msgspec.Meta(ge=1, le=MOST_REPEATS)] = 1
    points: Literal["together", "one_by_one"] = "together"
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None
    price_input: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    price_output: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1)] = 600.0


class Judge:
    """A judge ready to be asked."""

    def __init__(self, spec: JudgeSpec) -> None:
        """Make its model.

        Raises:
            InputError: The spec can't be used.
        """
        if spec.model.startswith("answers:"):
            raise InputError(Problem(message=say("runs.judge_answers", spec=spec.model), field="--model"))
        self.spec = spec
        self.model: Model = create_model(
            spec.model,
            ModelOptions(
                base_url=spec.base_url,
                api_key_env=spec.api_key_env,
                parameters={**PARAMETERS, **spec.parameters},
                timeout_s=spec.timeout_s,
                images=None,
            ),
        )
        self.pins = JudgePins(self.model.identity, spec.repeats, spec.points)

    @property
    def limits(self) -> Limits:
        """The concurrency asked for, and no more than the model can answer at a time."""
        wanted = [each for each in (self.spec.concurrency, self.model.most_in_flight) if each is not None]
        return Limits(concurrency=min(wanted) if wanted else None)

    @property
    def price(self) -> Price:
        """Prices per million tokens."""
        return Price(self.spec.price_input, self.spec.price_output)


def read_judge(text: str, *, base_url: str | None = None, api_key_env: str | None = None) -> Judge:
    """A judge from a spec string, or from a TOML file with the fields of `JudgeSpec`.

    Raises:
        InputError: Neither can be used; with all that is wrong.
    """
    if not text.endswith(".toml"):
        return Judge(JudgeSpec(text, base_url=base_url, api_key_env=api_key_env))
    try:
        content = Path(text).read_bytes()
        document = Document(text, content, tomllib.loads(content.decode("utf-8-sig")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(Problem(message=say("runs.bad_judge_file", reason=reason), file=text)) from error
    spec = document.read(JudgeSpec)
    if spec.model is not None:  # else it could not be read
        try:
            judge = Judge(spec)
        except InputError as error:
            document.problems += (document.of_option(problem, "") for problem in error.problems)
    if document.problems:
        raise InputError(*document.problems)
    return judge


def read_judges(run_dir: Path) -> tuple[JudgePins, ...]:
    """The judges that a run was judged by, in the order in which they came.

    Raises:
        InputError: The file can't be read.
    """
    return _listed(run_dir / JUDGES_FILE, JudgePins)


def add_judges(run_dir: Path, judges: Sequence[JudgePins]) -> tuple[JudgePins, ...]:
    """Note judges in a run; all that it has then."""
    together = {each.id: each for each in (*read_judges(run_dir), *judges)}
    pins = tuple(together.values())
    write_json(run_dir / JUDGES_FILE, pins)
    return pins


def drop_judges(run_dir: Path, names: Sequence[str]) -> None:
    """Take judges off the list of a run; what they said is kept, and counts again once they are asked again.

    Args:
        run_dir: The run.
        names: Name, spec or id of each.

    Raises:
        InputError: With each name that is not that of one judge of the run.
    """
    with exclusive(run_dir):
        judges = read_judges(run_dir)
        known = ", ".join(f"{judge.model.name} [{judge.id}]" for judge in judges) or "–"
        dropped: set[str] = set()
        problems: list[Problem] = []
        for name in names:
            found = [judge.id for judge in judges if name in (judge.id, judge.model.name, judge.model.spec)]
            if len(found) != 1:
                problems.append(Problem(message=say("runs.drop_which", name=name, known=known), field="--drop-judge"))
            dropped.update(found)
        if problems:
            raise InputError(*problems)
        write_json(run_dir / JUDGES_FILE, tuple(judge for judge in judges if judge.id not in dropped))


def add_calibrations(run_dir: Path, files: Sequence[Path], upcoming: Sequence[JudgePins] = ()) -> None:
    """Note what is known of judges of a run; a later file on the same judge takes the place of an earlier one.

    Args:
        run_dir: The run.
        files: Calibration files.
        upcoming: Judges that are about to be asked.

    Raises:
        InputError: A file is wrong, or is about a judge that this run does not have, or about another criterion or
            scale than its judges rate by.
    """
    known = {each.id for each in (*read_judges(run_dir), *upcoming)}
    scale = tuple(map(float, SCALE))
    problems: list[Problem] = []
    together = {each.judge: each for each in read_calibrations(run_dir)}
    for file in files:
        try:
            found = read_measured(file)
        except InputError as error:
            problems += error.problems
            continue
        if found.judge not in known:
            message = say("runs.calibration_of_other", judge=found.judge, known=", ".join(sorted(known)) or "–")
            problems.append(Problem(message=message, file=str(file)))
        if (found.criterion, found.scale) != (CRITERION, scale):
            message = say(
                "runs.calibration_other_scale",
                criterion=found.criterion,
                scale=found.scale,
                wanted=CRITERION,
                ours=scale,
            )
            problems.append(Problem(message=message, file=str(file)))
        together[found.judge] = found
    if problems:
        raise InputError(*problems)
    write_json(run_dir / CALIBRATIONS_FILE, tuple(together.values()))


def read_calibrations(run_dir: Path) -> tuple[Measured, ...]:
    """What is known of the run's judges.

    Raises:
        InputError: The file can't be read.
    """
    return _listed(run_dir / CALIBRATIONS_FILE, Measured)


def ratings_file(run_dir: Path, pins: Pins) -> Path:
    """Where people's ratings of a run are kept: with the run, or under hidden disclosure beside the judgements."""
    if pins.disclosure == "local":
        return run_dir / RATINGS_FILE
    return judge_ledger(run_dir, pins, Path(RATINGS_FILE)).with_suffix(f".{RATINGS_FILE}")


def read_attached(run_dir: Path, pins: Pins) -> Attached | None:
    """People's ratings of a run; None where it was given none.

    Raises:
        InputError: The file can't be read.
    """
    path = ratings_file(run_dir, pins)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Attached)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(say("runs.bad_run_file", path=path, error=error)) from error


def _listed(path: Path, entry: type[Entry]) -> tuple[Entry, ...]:
    """The entries of a file of a run; none where there is no file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[entry, ...])  # type: ignore[valid-type]
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(say("runs.bad_run_file", path=path, error=error)) from error


def judge_ledger(run_dir: Path, pins: Pins, ledger: Path) -> Path:
    """Where the judgements of a run are kept: in its own ledger, or under hidden disclosure beside the keys.

    A judgement tells right from wrong, which then must not stand in the folder of the run.
    """
    if pins.disclosure == "local":
        return run_dir / ledger
    items = Path(pins.items)
    folder = items / "judgements" if items.is_dir() else items.with_name(f"{items.name}.judgements")
    return folder / f"{pins.config_hash()[:32]}.sqlite"


class JudgeContext:
    """The context of one leaf call to a judge; see `medbench.models.model.Context`."""

    __slots__ = ("_meter", "clock", "media", "prompt", "row", "tools", "variant")

    def __init__(self, prompt: str, variant: int, meter: Meter) -> None:
        self.prompt = prompt
        self.variant = variant
        self.row = 0
        self.clock = Clock()
        self.media: tuple[Media, ...] = ()
        self.tools: tuple[Tool, ...] = ()
        self._meter = meter

    @property
    def form(self) -> AnswerForm:
        """A verdict is text; its contract reads it."""
        return TextForm()

    def reads(self, text: str) -> bool:
        """Whether there is any."""
        return bool(text)

    async def images(self) -> tuple[PreparedImage, ...]:
        """None: a judge is shown text."""
        return ()

    def file(self, medium: Media) -> Path | None:
        """None: a judge is shown text."""
        return None

    def keep(self, content: bytes, suffix: str) -> str:
        """A judge makes no files."""
        raise NotImplementedError

    async def call(
        self,
        request: bytes,
        send: Callable[[bytes], Awaitable[Completion]],
        *,
        output_limit: int = 0,
        image_tokens: int = 0,
    ) -> tuple[Completion, int, bool]:
        """Send a leaf call through the meter."""
        return await self._meter.call(
            *(request, send),
            output_limit=output_limit,
            variant=self.variant,
            attachments=(),
            image_tokens=image_tokens,
        )


class JudgeHandler:
    """Asks a judge; failures of its side become judgements with the status `judge_failed`."""

    def __init__(self, judge: Judge, meter: Meter) -> None:
        self.kind = judge.pins.kind
        self._judge = judge
        self._meter = meter

    async def perform(self, call: JudgeCall) -> Result:
        """Judge one answer once."""
        prompt = call.prompt()

        async def ask(text: str, attempt: int) -> Response:
            question = Question("judge", "judge", text, language=prompt.language)
            # Repeats and second tries are asked anew: the cache must not take them for the same request.
            context = JudgeContext(text, 2 * call.repeat + attempt, self._meter)
            return await self._judge.model.answer(question, context)

        judged = await judge_once(call.task, prompt, ask)
        error = judged.error
        return Result(
            seq=call.seq,
            key=call.hash(self._judge.pins),
            status="failed" if error else judged.judgement.status,
            body=_encode(judged.judgement),
            error_class=error.error_class if error else None,
            error_code=error.code if error else judged.judgement.reason,
            input_tokens=judged.usage.input_tokens,
            output_tokens=judged.usage.output_tokens,
            requests=judged.requests,
            detail=error.detail if error else "",
        )


class Unjudged:
    """The calls of a judge that have no judgement yet, for responses as they become durable."""

    def __init__(self, judge: JudgePins, planner: JudgePlanner, judgements: Ledger) -> None:
        self._judge = judge
        self._planner = planner
        self._judgements = judgements

    def calls(self, answered: Iterable[tuple[Asked, Response]]) -> Iterator[JudgeCall]:
        """Calls without a judgement, or with one of another answer, key or wording; failed ones are made again."""
        calls = self._planner.calls(answered, self._judge)
        while some := list(islice(calls, 256)):
            done = self._judgements.settled(self._judge.kind, some[0].seq, some[-1].seq)
            yield from (call for call in some if done.get(call.seq) != call.hash(self._judge))


class Sink(Protocol):
    """Takes judge calls one after the other."""

    async def put(self, call: JudgeCall | None, /) -> None:
        """Take a call; None: there are no more."""


async def feed(
    plan: Iterator[Asked],
    responses: Callable[[int, int], Mapping[int, Response]],
    unjudged: Unjudged,
    queue: Sink,
    answering: asyncio.Event,
    *,
    block: int = 64,
) -> None:
    """Put judge calls into a queue while answers come in, in the order of the plan.

    Args:
        plan: Every call of the run.
        responses: (first, last) -> the responses there are.
        unjudged: Makes the judge's calls.
        queue: Takes them; None behind the last one.
        answering: Set once no more answers come.
        block: Calls of the plan looked at together: a block waits until all of it is answered.
    """
    while asked := list(islice(plan, block)):
        while True:
            over = answering.is_set()
            there = responses(asked[0].seq, asked[-1].seq)
            if over or len(there) == len(asked):
                break
            await asyncio.sleep(WAIT_S)
        for call in unjudged.calls((each, there[each.seq]) for each in asked if each.seq in there):
            await queue.put(call)
    await queue.put(None)
