"""Who reviews a draft, and what they say: first code, then the backbone as a critic or in several roles at once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medbench.agents.orchestration.conversation import Conversation
from medbench.agents.orchestration.events import Criticised, Skipped
from medbench.agents.orchestration.spending import BudgetSpent
from medbench.agents.orchestration.task import Task
from medbench.agents.orchestration.text_protocol import objects
from medbench.models.model import CallError
from medbench.tasks import together

MOST_PROBLEMS = 5
LONGEST_PROBLEM = 300
_FORM = re.compile(r"<[^<>]*>")


async def review(
    talk: Conversation, task: Task, prompt: str, answer: str, evidence: str, roles: Sequence[str]
) -> list[str]:
    """What critics find wrong with an answer; a critic that fails or can't be read finds nothing.

    Args:
        talk: With the backbone.
        task: What was asked for.
        prompt: As it was asked.
        answer: The draft.
        evidence: What was gathered.
        roles: Who reviews; empty: one critic without a role.
    """
    say, language = talk.prompts.say, task.language
    if task.closed:
        checklist = say("checklist_closed", language)
    else:
        checklist = say("checklist", language, demands="\n".join(f"- {each}" for each in task.demands))
    asked = say("critique", language, checklist=checklist, prompt=prompt, evidence=evidence, answer=answer)

    async def one(name: str) -> list[str]:
        system = say(name, language) if name in roles else ""
        try:
            written = await talk.once(f"critique:{name}" if system else name, asked, system)
        except (CallError, BudgetSpent) as error:
            talk.spending.note(Skipped(step=name, why=getattr(error, "code", "budget")))
            return []
        problems = read_problems(written)
        talk.spending.note(Criticised(by=name, problems=tuple(problems or ()), unread=problems is None))
        return problems or []

    found = await together([one(name) for name in roles or ("critique",)])
    return [problem for problems in found for problem in problems]


def read_problems(written: str) -> list[str] | None:
    """The problems that a critic's reply lists; None where it can't be read."""
    for value in objects(written):
        problems = value.get("problems")
        if isinstance(problems, list):
            texts = [each.strip()[:LONGEST_PROBLEM] for each in problems if isinstance(each, str)]
            # Small models copy the form that they are shown.
            return [each for each in texts if each.strip("<>") and not _FORM.fullmatch(each)][:MOST_PROBLEMS]
    return None
