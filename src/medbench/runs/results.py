"""From the ledger to the files that people and programs read: responses, scores, figures."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from medbench.engine.ledger import Ledger
from medbench.errors import InputError
from medbench.items.source import ItemSource
from medbench.models.model import Response
from medbench.runs.config import Pins
from medbench.runs.judges import judge_ledger, read_attached, read_calibrations, read_judges
from medbench.runs.plan import KIND, asked
from medbench.scoring.asked import Asked
from medbench.scoring.judging.contract import decode_judgement
from medbench.scoring.judging.people import People
from medbench.scoring.opinions import Panel, Said
from medbench.scoring.rows import ScoreRow
from medbench.scoring.score import Figures, JudgeUse, Scorer
from medbench.store.artifacts import ARTIFACTS_FOLDER, Artifacts
from medbench.store.files import write_json
from medbench.store.parquet import write_rows
from medbench.streams import in_blocks
from medbench.text import say

FIGURES_FILE = "figures.json"
_decode = msgspec.json.Decoder(Response).decode


def responses(ledger: Ledger) -> Generator[tuple[int, Response]]:
    """Stream (seq, response) in the order of the plan."""
    for seq, body in ledger.bodies(KIND):
        yield seq, _decode(body)


def answered(plan: Iterator[Asked], ledger: Ledger) -> Iterator[tuple[Asked, Response]]:
    """The calls of a plan that have a response, with it."""
    arriving = responses(ledger)
    upcoming = next(arriving, None)
    for call in plan:
        if upcoming is None:
            return
        if upcoming[0] == call.seq:
            yield call, upcoming[1]
            upcoming = next(arriving, None)


def compact_responses(run_dir: Path, source: ItemSource, pins: Pins, ledger: Ledger) -> int:
    """Write `responses/*.parquet` from the ledger; returns the number of rows."""
    import pyarrow as pa

    text, whole = pa.string(), pa.int64()
    schema = pa.schema(
        [
            ("seq", whole),
            ("uid", text),
            ("dataset", text),
            ("part", text),
            ("id", text),
            ("variant", pa.int32()),
            ("epoch", pa.int32()),
            ("status", text),
            ("text", text),
            ("reasoning", text),
            ("tool_calls", text),
            ("turns", text),
            ("trace", text),
            ("artifacts", text),
            ("error_class", text),
            ("error_code", text),
            ("error_detail", text),
            ("input_tokens", whole),
            ("output_tokens", whole),
            ("usage_estimated", pa.bool_()),
            ("latency_s", pa.float64()),
            ("attempts", pa.int32()),
            ("cached", pa.bool_()),
            ("served_model", text),
            ("images", text),
        ]
    )

    def rows() -> Iterator[tuple[object, ...]]:
        arriving = in_blocks(responses(ledger))
        upcoming = next(arriving, None)
        for call in in_blocks(asked(source, pins.selection)):
            if upcoming is None:
                return
            if upcoming[0] != call.seq:
                continue
            response, question = upcoming[1], call.question
            yield (
                call.seq,
                question.uid,
                question.dataset,
                question.part,
                question.id,
                call.variant,
                call.epoch,
                response.status,
                response.text,
                response.reasoning,
                _json(response.tool_calls),
                _json(response.turns),
                response.trace,
                _json(response.artifacts),
                response.error_class,
                response.error_code,
                response.error_detail,
                response.usage.input_tokens,
                response.usage.output_tokens,
                response.usage.estimated,
                response.latency_s,
                response.attempts,
                response.cached,
                response.served_model,
                _json(response.images),
            )
            upcoming = next(arriving, None)

    return write_rows(run_dir / "responses", schema, rows(), {"medbench": pins.config_hash()})


def score_run(run_dir: Path, source: ItemSource, pins: Pins, ledger: Ledger) -> Figures:
    """Score every response and write `scores/*.parquet` and `figures.json`."""
    import pyarrow as pa

    text, whole = pa.string(), pa.int64()
    schema = pa.schema(
        [
            ("seq", whole),
            ("uid", text),
            ("dataset", text),
            ("part", text),
            ("family", text),
            ("variant", pa.int32()),
            ("epoch", pa.int32()),
            ("status", text),
            ("value", pa.float64()),
            ("reason", text),
            ("extracted", text),
            ("refusal", pa.bool_()),
            ("true_positives", whole),
            ("false_positives", whole),
            ("false_negatives", whole),
            ("closed_status", text),
            ("closed_value", pa.float64()),
            ("judge_value", pa.float64()),
            ("judge_spread", pa.float64()),
            ("key_point_value", pa.float64()),
            ("safe", pa.bool_()),
            ("key_point_lexical", pa.float64()),
            ("details", text),
            ("evidence", text),
            ("probe", text),
            ("rubric_points_value", pa.float64()),
            ("judge_read", pa.bool_()),
            ("people_value", pa.float64()),
            ("check_status", text),
            ("check", text),
        ]
    )
    with ExitStack() as files:
        panel = panel_of(run_dir, pins, ledger, files)
        attached = read_attached(run_dir, pins)
        people = People(attached, panel, pins.short, pins.model.name) if attached and panel else None
        scorer = Scorer(
            Path(pins.items),
            pins.own_catalog,
            hidden=pins.disclosure == "hidden",
            panel=panel,
            people=people,
            artifacts=Artifacts(run_dir / ARTIFACTS_FOLDER),
        )
        rows = (_columns(row) for row in scorer.rows(asked(source, pins.selection), responses(ledger)))
        write_rows(run_dir / "scores", schema, rows, {"medbench": pins.config_hash()})
        judges = _judge_use(run_dir, pins, ledger, panel) if panel else ()
        figures = msgspec.structs.replace(scorer.figures(), judges=judges)
    write_json(run_dir / FIGURES_FILE, figures)
    return figures


def _judgements(run_dir: Path, pins: Pins, ledger: Ledger, files: ExitStack) -> Ledger:
    path = judge_ledger(run_dir, pins, Path(ledger.path.name))
    return ledger if path == ledger.path else files.enter_context(closing(Ledger(path, read_only=True)))


def panel_of(run_dir: Path, pins: Pins, ledger: Ledger, files: ExitStack) -> Panel | None:
    """The judges of the run with what they said; None where it has none.

    A judge that gave no verdict at all, as one without a valid key, is not waited for where another one did.
    """
    judges = read_judges(run_dir)
    if not judges:
        return None
    judgements = _judgements(run_dir, pins, ledger, files)

    def said(kind: str) -> Iterator[Said]:
        return ((seq, key, decode_judgement(body)) for seq, key, body in judgements.keyed(kind))

    silent = {judge.id for judge in judges if not judgements.totals(judge.kind).by_status.get("judged")}
    left_out = silent if len(silent) < len(judges) else set[str]()
    maps = {found.judge: found.map_of() for found in read_calibrations(run_dir)}
    said_by = {judge.id: said(judge.kind) for judge in judges}
    return Panel(judges, said_by, left_out=left_out, calibrations=maps)


def _judge_use(run_dir: Path, pins: Pins, ledger: Ledger, panel: Panel) -> tuple[JudgeUse, ...]:
    measured = {each.judge: each for each in read_calibrations(run_dir)}
    with ExitStack() as files:
        judgements = _judgements(run_dir, pins, ledger, files)
        return tuple(
            JudgeUse(
                judge=judge,
                judgements=found.responses,
                failed=found.responses - found.by_status.get("judged", 0),
                input_tokens=found.input_tokens,
                output_tokens=found.output_tokens,
                measured=measured.get(judge.id),
                by_error=found.by_error,
                awaited=panel.awaited[judge.id],
                left_out=judge.id in panel.left_out,
            )
            for judge in panel.judges
            for found in (judgements.totals(judge.kind),)
        )


def read_figures(run_dir: Path) -> Figures:
    """Read `figures.json`.

    Raises:
        InputError: The run is not scored.
    """
    path = run_dir / FIGURES_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Figures)
    except OSError as error:
        raise InputError(say("runs.not_scored", path=run_dir)) from error
    except msgspec.DecodeError as error:
        raise InputError(say("runs.bad_run_file", path=path, error=error)) from error


def _columns(row: ScoreRow) -> tuple[object, ...]:
    question = row.asked.question
    judged = {each.metric: each for each in row.judged}
    judge, points, rubric = (judged.get(name) for name in ("llm_judge", "keypoint_macro_recall", "rubric_points"))
    return (
        row.asked.seq,
        question.uid,
        question.dataset,
        question.part,
        question.cluster,
        row.asked.variant,
        row.asked.epoch,
        row.status,
        row.value,
        row.reason,
        row.extracted,
        row.extraction.refusal,
        row.marking.true_positives,
        row.marking.false_positives,
        row.marking.false_negatives,
        row.closed_status,
        row.marking.value,
        judge.value if judge else None,
        judge.spread if judge else None,
        points.value if points else None,
        points.safe if points else None,
        row.lexical,
        msgspec.json.encode(dict(row.marking.details)).decode() if row.marking.details else "",
        msgspec.json.encode(row.marking.evidence).decode() if row.marking.evidence else "",
        question.probe,
        rubric.value if rubric else None,
        judge.read if judge else None,
        row.people,
        row.check.status if row.check else None,
        msgspec.json.encode(row.check).decode() if row.check else "",
    )


def _json(value: tuple[object, ...]) -> str:
    return msgspec.json.encode(value).decode() if value else ""
