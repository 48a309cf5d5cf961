"""People rate answers of a run: a blind sheet is drawn, and what they wrote comes back as ratings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from medbench.engine.ledger import Ledger
from medbench.errors import InputError, Problem
from medbench.runs.config import Pins, read_pins
from medbench.runs.execute import LEDGER_FILE, open_pinned
from medbench.runs.judges import ratings_file, read_judges
from medbench.runs.plan import asked
from medbench.runs.results import answered, panel_of
from medbench.scoring.judging.answers import judged_answers
from medbench.scoring.judging.people import Attached, RatedFile, response_name
from medbench.scoring.judging.plan import answer_of
from medbench.scoring.judging.sheet import CRITERION, SCALE, Drawn, draw, read_sheet, write_sheet
from medbench.scoring.ratings import Answered, Placed, Rating, few, gather, write_ratings
from medbench.store.files import exclusive, write_json
from medbench.text import say


def write_sample(run_dir: Path, size: int, seed: int, out: Path) -> int:
    """Draw a stratified blind sheet of judged answers; returns how many.

    Under hidden disclosure it shows no reference answers: it leaves the scorer's hands.

    Args:
        run_dir: A judged run.
        size: Most answers.
        seed: Of the draw.
        out: The sheet; never overwritten.

    Raises:
        InputError: The run has no answers that judges rated by a rubric, or there is a file already.
        WorkError: The sheet can't be written.
    """
    if out.exists():
        raise InputError(Problem(message=say("runs.sheet_exists"), file=str(out)))
    hidden = read_pins(run_dir).disclosure == "hidden"
    drawn = draw((answer for answer, _ in judged(run_dir)), size, seed)
    if not drawn:
        raise nothing_rated(run_dir)
    write_sheet(out, [msgspec.structs.replace(each, reference="") for each in drawn] if hidden else drawn)
    return len(drawn)


def nothing_rated(run_dir: Path) -> InputError:
    """Why judges rated none of a run's answers by a rubric."""
    pins = read_pins(run_dir)
    if read_judges(run_dir):
        plan = asked(open_pinned(pins), pins.selection)
        metrics = {metric for call in plan for metric in call.part.judged_metrics}
        if metrics and CRITERION not in metrics:
            names = ", ".join(sorted(metrics))
            return InputError(Problem(message=say("runs.nothing_by_rubric", names=names), file=str(run_dir)))
    return InputError(say("runs.nothing_judged", path=run_dir))


def import_sheet(run_dir: Path, sheet: Path, rater: str, out: Path) -> int:
    """Turn a filled sheet into ratings, with the judges' ratings of the same answers; returns how many were rated.

    Raises:
        InputError: With all that is wrong: scores, ids that are missing, twice or not of this run; no score at all.
    """
    scores, problems = read_sheet(sheet)
    ratings: list[Rating] = []
    found: set[str] = set()
    low, high = SCALE
    for answer, judges in judged(run_dir):
        if answer.code in scores:
            found.add(answer.code)
            ratings.append(
                Rating(
                    *(answer.item, answer.response, rater, "human", CRITERION),
                    score=float(scores[answer.code].score),
                    scale=(float(low), float(high)),
                    text=answer.answer,
                    model=judges[0].model,
                    dataset=answer.dataset,
                    language=answer.language,
                )
            )
            ratings += judges
    problems += [
        Problem(message=say("runs.sheet_of_other_run", code=code, path=run_dir), file=str(sheet), line=given.line)
        for code, given in scores.items()
        if code not in found
    ]
    if problems:
        raise InputError(*few(sorted(problems, key=lambda each: each.line or 0)))
    write_ratings(out, ratings)
    return len(found)


def attach_ratings(run_dir: Path, files: Sequence[Path], *, judges_coming: bool = False) -> None:
    """Make people's ratings part of a run, in the place of those that it had; judges' ratings are passed over.

    Args:
        run_dir: The run.
        files: Ratings files.
        judges_coming: The run is about to get judges, where it has none yet.

    Raises:
        InputError: With all that is wrong: files that can't be used, ratings by another criterion or scale, of answers
            that this run does not have, or of another text than it has; no rating by a person; a run without judges.
    """
    pins = read_pins(run_dir)
    found, problems = gather(files)
    people = [placed for placed in found if placed.rating.kind == "human"]
    if not people and not problems:
        problems.append(Problem(message=say("runs.ratings_of_nobody"), file=", ".join(map(str, files))))
    if not judges_coming and not read_judges(run_dir):
        problems.append(Problem(message=say("runs.nothing_judged", path=run_dir)))
    problems += [*_foreign(people), *_not_in_run(run_dir, pins, people)]
    if problems:
        raise InputError(*few(problems))
    sources = tuple(RatedFile(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files)
    path = ratings_file(run_dir, pins)
    with exclusive(run_dir):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, Attached(sources, tuple(placed.rating for placed in people)))


def _foreign(people: Sequence[Placed]) -> Iterator[Problem]:
    """Criteria and scales that are not those of the run's judges, each told once."""
    scale = tuple(map(float, SCALE))
    first = {(placed.rating.criterion, placed.rating.scale): placed for placed in reversed(people)}
    for (criterion, theirs), placed in first.items():
        if (criterion, theirs) != (CRITERION, scale):
            message = say("runs.ratings_other_scale", criterion=criterion, scale=theirs, wanted=CRITERION, ours=scale)
            yield Problem(message=message, file=placed.file, line=placed.line)


def _not_in_run(run_dir: Path, pins: Pins, people: Sequence[Placed]) -> Iterator[Problem]:
    """Ratings of answers that the run does not have, or has with another text."""
    texts: dict[tuple[str, Answered], str | None] = dict.fromkeys(placed.rating.unit for placed in people)
    with closing(Ledger(run_dir / LEDGER_FILE, read_only=True)) as ledger:
        for call, response in answered(asked(open_pinned(pins), pins.selection), ledger):
            unit = call.question.cluster, response_name(pins.short, call.seq)
            if unit in texts and CRITERION in call.part.metrics:
                texts[unit] = answer_of(response)
    for placed in people:
        item, answer = placed.rating.unit
        text = texts[placed.rating.unit]
        if text is None or placed.rating.text not in ("", text):
            name = "runs.rating_of_other_run" if text is None else "runs.rating_of_other_text"
            message = say(name, item=item, response=answer)
            yield Problem(message=message, file=placed.file, line=placed.line)


def judged(run_dir: Path) -> Iterator[tuple[Drawn, list[Rating]]]:
    """Every answer of a run that its judges rated by a rubric, with each judge's rating."""
    pins = read_pins(run_dir)
    source = open_pinned(pins)
    with ExitStack() as files:
        ledger = files.enter_context(closing(Ledger(run_dir / LEDGER_FILE, read_only=True)))
        panel = panel_of(run_dir, pins, ledger, files)
        if panel is None:
            return
        plan = asked(source, pins.selection)
        yield from judged_answers(
            Path(pins.items), pins.own_catalog, answered(plan, ledger), panel, pins.short, pins.model.name
        )
