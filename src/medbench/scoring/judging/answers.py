"""Judged answers of a run with their keys, for people to rate and for ratings to be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from medbench.models.model import Response
from medbench.scoring.asked import Asked
from medbench.scoring.judging.people import response_name
from medbench.scoring.judging.plan import answer_of
from medbench.scoring.judging.prompt import Case
from medbench.scoring.judging.rubric import GENERAL
from medbench.scoring.judging.sheet import CRITERION, SCALE, Drawn
from medbench.scoring.judging.verdict import mean_of
from medbench.scoring.keys_along import KeysAlong
from medbench.scoring.opinions import Panel
from medbench.scoring.ratings import Rating


def judged_answers(
    items: Path,
    catalog_folder: Path | None,
    answered: Iterable[tuple[Asked, Response]],
    panel: Panel,
    run: str,
    model: str,
) -> Iterator[tuple[Drawn, list[Rating]]]:
    """Every answer that the panel judged by a rubric, with each judge's rating of it.

    Args:
        items: Item source of the run.
        catalog_folder: Folder of own dataset definitions.
        answered: Calls with their responses, in the order of the plan.
        panel: Judges and their judgements.
        run: Names the run's answers apart from those of others.
        model: Name of the model that wrote them.
    """
    keys = KeysAlong(items, catalog_folder)
    for asked, response in answered:
        question = asked.question
        key = keys.of(question.uid)
        if CRITERION not in asked.part.metrics or not answer_of(response):
            continue
        opinions = panel.of(asked, response, key)
        value = panel.value(opinions, "rubric").value
        if value is None:
            continue
        case = Case(asked.shown_question, answer_of(response), key, question.language)
        name = response_name(run, asked.seq)
        drawn = Drawn(
            item=question.cluster,
            response=name,
            dataset=question.dataset,
            rubric=asked.part.rubric or GENERAL,
            language=question.language,
            question=case.question,
            reference=case.reference,
            answer=case.answer,
            value=value,
        )
        low, high = SCALE
        ratings = [
            Rating(
                *(drawn.item, name, opinion.judge.id, "judge", CRITERION),
                score=low + mean * (high - low),
                scale=(float(low), float(high)),
                text=case.answer,
                model=model,
                dataset=drawn.dataset,
                language=drawn.language,
            )
            for opinion in opinions
            if (mean := mean_of(opinion.repeats.get("rubric", []))) is not None
        ]
        yield drawn, ratings
