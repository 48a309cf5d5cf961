"""`medbench run`, `resume`, `status` and `score`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from medbench.catalog.model import Track
from medbench.cli.output import print_json, show_progress
from medbench.errors import InputError, Problem
from medbench.text import current_language, harmless, say

if TYPE_CHECKING:
    from medbench.board.summary import Summary
    from medbench.engine.progress import Progress, Watch
    from medbench.models.images import ImageLimits
    from medbench.runs.judges import Judge
    from medbench.runs.status import RunStatus

RunDirectory = Annotated[Path, typer.Argument(help="Folder of the run.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Concurrency = Annotated[
    str | None, typer.Option(help="Calls in flight: a number, or auto (found by trying; the default).")
]
RequestsPerMinute = Annotated[int | None, typer.Option("--rpm", min=1, help="Most requests per minute.")]
TokensPerMinute = Annotated[int | None, typer.Option("--tpm", min=1, help="Most tokens per minute.")]
BudgetTokens = Annotated[int | None, typer.Option(min=1, help="Stop before the run takes more tokens.")]
BudgetCost = Annotated[float | None, typer.Option(min=0.0, help="Stop before it costs more; needs the prices.")]
PriceInput = Annotated[float | None, typer.Option(min=0.0, help="Price per million input tokens.")]
PriceOutput = Annotated[float | None, typer.Option(min=0.0, help="Price per million output tokens.")]
Cache = Annotated[Path | None, typer.Option(help="Response cache (a SQLite file); off without it.")]
MaxTurns = Annotated[
    int | None, typer.Option(min=1, help="Most calls of the model for an item in an environment; 40 by default.")
]
MaxItemTokens = Annotated[int | None, typer.Option(min=1, help="No further call of such an item beyond these tokens.")]
MaxItemSeconds = Annotated[float | None, typer.Option(min=0.1, help="Most seconds of such an item.")]
MaxItemCost = Annotated[
    float | None, typer.Option(min=1e-9, help="No further call of such an item beyond this cost; needs the prices.")
]
Timeout = Annotated[float | None, typer.Option(min=0.1, help="Seconds for one request; 600 by default.")]
ImageSide = Annotated[
    int | None,
    typer.Option(min=64, help="Longest side of an image that the endpoint takes; 2048 pixels by default."),
]
ImageBytes = Annotated[
    int | None, typer.Option(min=10_000, help="Most bytes of an image that it takes; 5000000 by default.")
]
ImageCount = Annotated[int | None, typer.Option(min=1, help="Most images of one request; 20 by default.")]
Judges = Annotated[
    list[str] | None,
    typer.Option("--judge", help="Judge of open answers, repeatable: a model as in --model, or a judge file (TOML)."),
]
JudgeUrl = Annotated[str | None, typer.Option(help="Address of the judges' endpoint, where no file says it.")]
JudgeKey = Annotated[str | None, typer.Option(help="Environment variable that holds their API key.")]


def run(
    items: Annotated[Path, typer.Option(help="Bank folder, item JSONL, or the official release (folder or zip).")],
    model: Annotated[str, typer.Option(help="openai:NAME, answers:PATH, local:smollm2 or agent:FILE.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; made if absent.")],
    base_url: Annotated[str | None, typer.Option(help="Address of the endpoint, for example https://host/v1.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the API key; the key is never stored.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="Sampling parameter NAME=JSON, repeatable; null removes a default."),
    ] = None,
    image_side: ImageSide = None,
    image_bytes: ImageBytes = None,
    image_count: ImageCount = None,
    track: Annotated[Track | None, typer.Option(help="Only this track.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Only this dataset, repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N items.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Only N items, drawn at random with --seed.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of --sample and --media-control.")] = 0,
    orders: Annotated[
        Literal["rotate", "first", "all"],
        typer.Option(help="Option orders in circular evaluation, for items that bring none."),
    ] = "rotate",
    media_control: Annotated[
        Literal["none", "removed", "swapped"],
        typer.Option(help="Ask without pictures, or with those of another item of the dataset drawn with --seed."),
    ] = "none",
    epochs: Annotated[
        int, typer.Option(min=1, help="Ask every item this many times, for pass@k and pass^k; all option orders each.")
    ] = 1,
    disclosure: Annotated[
        Literal["local", "hidden"], typer.Option(help="hidden: right and wrong per item stay with the scorer.")
    ] = "local",
    catalog: Annotated[Path | None, typer.Option(help="Folder of own dataset definitions (TOML).")] = None,
    max_turns: MaxTurns = None,
    max_item_tokens: MaxItemTokens = None,
    max_item_seconds: MaxItemSeconds = None,
    max_item_cost: MaxItemCost = None,
    concurrency: Concurrency = None,
    rpm: RequestsPerMinute = None,
    tpm: TokensPerMinute = None,
    budget_tokens: BudgetTokens = None,
    budget_cost: BudgetCost = None,
    price_input: PriceInput = None,
    price_output: PriceOutput = None,
    cache: Cache = None,
    timeout: Timeout = None,
    judge: Judges = None,
    judge_base_url: JudgeUrl = None,
    judge_api_key_env: JudgeKey = None,
    as_json: Json = False,
) -> None:
    """Ask a model the items, score the answers and write the report.

    Safe to interrupt at any moment: `medbench resume RUN_DIR` goes on where it stopped.

    \b
    Examples:
      medbench run --items items.jsonl --model local:smollm2 --out run
      medbench run --items bank --model openai:qwen3-8b --base-url https://host/v1 --api-key-env KEY --out run
      medbench run --items release.zip --model answers:answers.zip --track llm --out run
      medbench run --items release.zip --model openai:qwen3-vl --base-url URL --image-side 1536 --out run
      medbench run --items bank --model openai:vl --base-url https://host/v1 --media-control removed --out removed
      medbench run --items bank --model openai:qwen3-8b --base-url URL --epochs 5 --parameter temperature=0.7 --out run
      medbench run --items bank --dataset MedAgentBench --model openai:qwen3-8b --base-url URL --max-turns 15 --out run
    """
    from medbench.agents.limits import ItemLimits
    from medbench.items.source import open_source
    from medbench.models.registry import ModelOptions, create_model
    from medbench.runs.config import Selection
    from medbench.runs.execute import start_run
    from medbench.runs.plan import has_environments
    from medbench.runs.settings import Settings

    settings = msgspec.convert(
        _given(concurrency, rpm, tpm, budget_tokens, budget_cost, price_input, price_output, cache, timeout),
        Settings,
    )
    if limit is not None and sample is not None:
        raise InputError(Problem(message=say("cli.limit_and_sample"), field="--sample"))
    options = ModelOptions(
        base_url=base_url,
        api_key_env=api_key_env,
        parameters=_parameters(parameter or []),
        timeout_s=settings.timeout_s,
        images=_image_limits(image_side, image_bytes, image_count),
    )
    system = create_model(model, options)
    judges = _judges(judge, judge_base_url, judge_api_key_env)
    source = open_source(items, catalog_folder=catalog)
    unknown = [name for name in dataset or [] if name not in source.catalog.datasets]
    if unknown:
        raise InputError(Problem(message=say("cli.unknown_datasets", names=", ".join(unknown)), field="--dataset"))
    selection = Selection(
        track=track,
        datasets=tuple(dataset or ()),
        limit=limit,
        sample=sample,
        seed=seed,
        orders=orders,
        media_control=media_control,
        epochs=epochs,
    )
    limits = {"turns": max_turns, "tokens": max_item_tokens, "seconds": max_item_seconds, "cost": max_item_cost}
    given = {name: value for name, value in limits.items() if value is not None}
    if given and not has_environments(source, selection):
        print(f"{say('cli.warning')} {say('cli.unused_item_limits')}", file=sys.stderr)
    with show_progress() as watch:
        outcome = start_run(
            out,
            source,
            system,
            selection,
            settings,
            disclosure=disclosure,
            catalog_folder=catalog,
            item_limits=msgspec.convert(given, ItemLimits),
            judges=judges,
            watch=with_renderer(watch),
        )
    finish(out, outcome, as_json)


def resume(
    run_dir: RunDirectory,
    items: Annotated[Path | None, typer.Option(help="Where the items are now, if they were moved.")] = None,
    concurrency: Concurrency = None,
    rpm: RequestsPerMinute = None,
    tpm: TokensPerMinute = None,
    budget_tokens: BudgetTokens = None,
    budget_cost: BudgetCost = None,
    price_input: PriceInput = None,
    price_output: PriceOutput = None,
    cache: Cache = None,
    timeout: Timeout = None,
    judge: Judges = None,
    judge_base_url: JudgeUrl = None,
    judge_api_key_env: JudgeKey = None,
    as_json: Json = False,
) -> None:
    """Go on with a run that stopped, was interrupted or killed: ask what has no answer yet, then score.

    Limits, budget and cache stay as they were, but for what is given here.

    \b
    Example:
      medbench resume run --budget-tokens 2000000
    """
    from medbench.runs.execute import resume_run

    changes = _given(concurrency, rpm, tpm, budget_tokens, budget_cost, price_input, price_output, cache, timeout)
    judges = _judges(judge, judge_base_url, judge_api_key_env)
    with show_progress() as watch:
        outcome = resume_run(run_dir, changes, items=items, judges=judges, watch=with_renderer(watch))
    finish(run_dir, outcome, as_json)


def status(run_dir: RunDirectory, as_json: Json = False) -> None:
    """Show how far a run is, also while it runs.

    \b
    Example:
      medbench status run --json
    """
    found = _status(run_dir)
    if as_json:
        print_json(found)
        return
    detail = ", ".join(f"{name} {count:,}" for name, count in sorted({**found.by_status, **found.by_error}.items()))
    print(
        say(
            "cli.status_line",
            state=found.state,
            done=f"{found.responses:,}",
            total=f"{found.rows:,}",
            detail=detail or "–",
        )
    )
    if found.reason:
        print(harmless(found.reason))
    if found.awaiting_judge:
        print(say("cli.awaiting_judge", count=f"{found.awaiting_judge:,}", path=run_dir))


def score(
    run_dir: RunDirectory,
    judge: Judges = None,
    judge_base_url: JudgeUrl = None,
    judge_api_key_env: JudgeKey = None,
    drop_judge: Annotated[
        list[str] | None,
        typer.Option(
            help="Judge of this run that counts no longer, by name or id, repeatable; --judge brings it back."
        ),
    ] = None,
    calibration: Annotated[
        list[Path] | None,
        typer.Option(help="What `medbench judge calibrate` wrote of a judge of this run, repeatable."),
    ] = None,
    ratings: Annotated[
        list[Path] | None,
        typer.Option(help="People's ratings of this run's answers (JSONL), repeatable; in the place of earlier ones."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a run again, for example after the keys were mended; the model is not asked again.

    With --judge, judges first judge every open answer that they have not judged yet; what failed is judged again.
    Safe to interrupt: the same command goes on. The judges of a run form a panel, whose median counts.
    A judge that gave no verdict at all is not waited for; --drop-judge leaves out one that gave some and can't go on.
    With --ratings, the report shows what people would say of all answers, and what that makes of the judges.

    
    Examples:
      medbench score run
      medbench score run --judge openai:qwen3-32b --judge-base-url https://host/v1
      medbench score run --judge one.toml --judge two.toml --judge three.toml
      medbench score run --drop-judge qwen3-32b --judge other.toml
      medbench score run --calibration calibration.json
      medbench score run --ratings physician-1.jsonl --ratings physician-2.jsonl
    """
    from medbench.runs.execute import rescore
    from medbench.runs.judges import add_calibrations, drop_judges
    from medbench.runs.people import attach_ratings

    judges = _judges(judge, judge_base_url, judge_api_key_env)
    if drop_judge:
        drop_judges(run_dir, drop_judge)
    if calibration:
        add_calibrations(run_dir, calibration, [each.pins for each in judges])
    if ratings:
        attach_ratings(run_dir, ratings, judges_coming=bool(judges))
    with show_progress() as watch:
        outcome = rescore(run_dir, judges=judges, watch=watch if judges else None)
    finish(run_dir, outcome, as_json)


def _judges(specs: list[str] | None, base_url: str | None, api_key_env: str | None) -> list[Judge]:
    """The judges asked for; all that is wrong with them at once."""
    from medbench.runs.judges import read_judge

    judges: list[Judge] = []
    problems: list[Problem] = []
    for spec in specs or []:
        try:
            judges.append(read_judge(spec, base_url=base_url, api_key_env=api_key_env))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return judges


def with_renderer(watch: Watch) -> Watch:
    """Once the model is asked, start the process that will draw the report's charts."""
    from medbench.board.report.vega import renderer

    def watched(progress: Progress) -> None:
        renderer()
        watch(progress)

    return watched


def finish(run_dir: Path, outcome: Any, as_json: bool) -> None:  # noqa: ANN401 - imported late
    """Write the report, say how the run ended, and exit with 1 if it stopped before its end."""
    from medbench.board.summary import load_summary
    from medbench.runs.settings import read_settings
    from medbench.stats import half_up

    summary = load_summary(run_dir)
    report = None
    if util.find_spec("vl_convert"):
        from medbench.board.report.render import write_report

        report = write_report(run_dir, summary, current_language(), price=read_settings(run_dir).price)
    found = msgspec.structs.replace(_status(run_dir, summary), wall_s=round(outcome.wall_s, 3))
    if as_json:
        print_json(found)
    elif not outcome.stopped:
        print(
            say(
                "cli.run_done",
                responses=f"{found.responses:,}",
                wall=f"{outcome.wall_s:.1f}",
                score=say(f"cli.no_score_{_why_no_score(summary)}")
                if summary.headline is None
                else half_up(summary.headline.value),
                coverage=f"{summary.coverage:.3f}",
                report=report or say("cli.no_report", path=run_dir),
            )
        )
        if repeats := summary.repeats:
            at_k, all_k = (
                "–" if each is None else half_up(each.value) for each in (repeats.pass_at_k, repeats.pass_all_k)
            )
            print(say("cli.run_epochs", k=repeats.epochs, at_k=at_k, all_k=all_k))
    for line in _of_judges(run_dir, summary):
        print(f"{say('cli.warning')} {harmless(line)}", file=sys.stderr)
    if outcome.stopped:
        print(f"{say('cli.error')} {harmless(outcome.reason)}", file=sys.stderr)
        raise typer.Exit(1)


def _of_judges(run_dir: Path, summary: Summary) -> Iterator[str]:
    """What is wrong with the judges of a run and their verdicts."""
    several = sum(not use.left_out for use in summary.judges) > 1
    for use in summary.judges:
        if use.failed or use.left_out:
            kind = "left_out" if use.left_out else "silent" if use.silent else "failed"
            codes = ", ".join(f"{code}×{count:,}" for code, count in sorted(use.by_error.items())) or "–"
            failed, judgements = f"{use.failed:,}", f"{use.judgements:,}"
            yield say(f"cli.judge_{kind}", name=use.judge.model.name, codes=codes, failed=failed, judgements=judgements)
        if use.awaited and several:
            name = use.judge.model.name
            yield say("cli.judge_awaited", name=name, id=use.judge.id, count=f"{use.awaited:,}", path=run_dir)
    if summary.outdated:
        yield say("cli.outdated", count=f"{summary.outdated:,}", path=run_dir)


def _why_no_score(summary: Summary) -> str:
    """The reason that most datasets without a score share."""
    reasons = Counter(dataset.why for dataset in summary.datasets)
    return reasons.most_common(1)[0][0]


def _status(run_dir: Path, summary: Summary | None = None) -> RunStatus:
    """The state of a run, with the figures once it is scored."""
    from medbench.board.summary import load_summary
    from medbench.runs.status import run_status

    found = run_status(run_dir)
    if summary is None and found.state == "scored":
        summary = load_summary(run_dir)
    if summary is None:
        return found
    report = run_dir / "report.html"
    return msgspec.structs.replace(
        found,
        scored=summary.scored,
        awaiting_judge=summary.by_score_status.get("awaiting_judge", 0),
        coverage=round(summary.coverage, 6),
        score=round(summary.headline.value, 4) if summary.headline else None,
        report=str(report) if report.exists() else None,
    )


def _given(
    concurrency: str | None,
    rpm: int | None,
    tpm: int | None,
    budget_tokens: int | None,
    budget_cost: float | None,
    price_input: float | None,
    price_output: float | None,
    cache: Path | None,
    timeout: float | None,
) -> dict[str, object]:
    """The settings that were given on the command line, by the names that `Settings` has for them."""
    others = {
        "requests_per_minute": rpm,
        "tokens_per_minute": tpm,
        "budget_tokens": budget_tokens,
        "budget_cost": budget_cost,
        "price_input": price_input,
        "price_output": price_output,
        "cache": str(cache.resolve()) if cache else None,
        "timeout_s": timeout,
    }
    given: dict[str, object] = {name: value for name, value in others.items() if value is not None}
    if concurrency == "auto":
        given["concurrency"] = None
    elif concurrency is not None:
        if not concurrency.isascii() or not concurrency.isdigit() or not 1 <= int(concurrency) <= 4096:
            raise InputError(Problem(message=say("cli.bad_concurrency", text=concurrency), field="--concurrency"))
        given["concurrency"] = int(concurrency)
    return given


def _image_limits(side: int | None, size: int | None, count: int | None) -> ImageLimits:
    from medbench.models.images import ImageLimits

    given = {"side": side, "size": size, "count": count}
    return ImageLimits(**{name: value for name, value in given.items() if value is not None})


def _parameters(given: list[str]) -> dict[str, object]:
    parameters: dict[str, object] = {}
    problems = []
    for text in given:
        name, separator, value = text.partition("=")
        try:
            if not separator or not name.isidentifier():
                raise msgspec.DecodeError
            parameters[name] = msgspec.json.decode(value.encode())
        except msgspec.DecodeError:
            problems.append(Problem(message=say("cli.bad_parameter", text=text), field="--parameter"))
    if problems:
        raise InputError(*problems)
    return parameters
