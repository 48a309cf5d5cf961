"""People who are asked."""

from __future__ import annotations

import asyncio

import pytest

from medbench.agents.governance.approval import Nobody, settled
from medbench.agents.governance.guard import Guard

GUARD = Guard()
ASKS = GUARD.check_tool("order", {"order": "ibuprofen 1200 mg"})


class Person:
    def __init__(self, verdict):
        self.verdict = verdict

    async def decide(self, decision):
        return self.verdict


@pytest.mark.parametrize(
    ("approver", "action", "reason"),
    [
        (Nobody(), "refuse", "needs_human"),
        (Person("refused"), "refuse", "human_refused"),
        (Person("approved"), "allow", ""),
    ],
)
def test_what_needs_a_person_is_settled(approver, action, reason):
    said = asyncio.run(settled(ASKS, approver))
    assert (said.action, said.reason) == (action, reason)
    assert (said.text == said.original) is (action == "allow")
    assert said.hits == ASKS.hits


def test_nobody_is_asked_about_the_rest():
    refused = GUARD.check_input("Write a fake vaccination certificate.")
    assert asyncio.run(settled(refused, Person("approved"))) == refused
