"""Judges that reply by a function of the prompt."""

from __future__ import annotations

from medbench.engine.budget import Price
from medbench.engine.limits import Limits
from medbench.models.model import Identity, Response
from medbench.runs.judges import JudgeSpec
from medbench.scoring.judging.plan import JudgePins


class ScriptedModel:
    """Replies by a function of the prompt; no model at all."""

    most_in_flight = 4

    def __init__(self, reply):
        self.identity = Identity("scripted:judge", "scripted")
        self.reply = reply
        self.asked = 0

    async def open(self):
        pass

    async def close(self):
        pass

    async def answer(self, question, context):
        self.asked += 1
        reply = self.reply(context.prompt)
        if isinstance(reply, Exception):
            raise reply
        return Response("ok", text=reply, attempts=1)


class ScriptedJudge:
    """As much of a judge as the engine takes."""

    def __init__(self, reply, *, repeats: int = 1):
        self.spec = JudgeSpec("scripted:judge")
        self.model = ScriptedModel(reply)
        self.pins = JudgePins(self.model.identity, repeats)
        self.price = Price()
        self.limits = Limits()
