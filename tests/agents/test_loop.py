"""A model works in an environment: what it is told, when it ends, and what is kept of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.agents import session as sessions
from medbench.agents.environment import State
from medbench.agents.limits import ItemLimits
from medbench.agents.loop import MOST_CALLS, with_ids
from medbench.agents.session import EnvironmentFailed, Session, answer_in, works_with_tools
from medbench.engine.budget import Price
from medbench.models.model import CallError, Response, ToolCall
from support.worlds import FolderContext, FunctionTool, ScriptedModel, World, question

NO_LIMITS, FREE = ItemLimits(), Price()
ADD = '{"n": 1}'


def counting(**more):
    """A world whose state is what was added; `end` ends it."""

    async def add(arguments):
        log.append(arguments["n"])
        world.state = State(environment="test", answer=tuple(log)).snapshot()
        return str(sum(log))

    async def end(_):
        world.over = True
        return "done"

    log: list[int] = []
    world = World(FunctionTool("add", add, {"n": {"type": "integer"}}, ["n"]), FunctionTool("end", end))
    return world


def work(monkeypatch, tmp_path, world, model, limits=NO_LIMITS, price=FREE):
    monkeypatch.setattr(sessions, "environment_maker", lambda _: lambda *_: world)
    asked = question("test")
    context = FolderContext(tmp_path, limits, price)

    async def run():
        session = Session(asked, context)
        context.tools = session.tools
        try:
            return await answer_in(session, model, asked, context, limits, context.count)
        finally:
            await session.close()

    response = asyncio.run(run())
    return response, context


def state(response: Response, context: FolderContext) -> object:
    return json.loads(context.kept[response.artifacts[0]])["answer"]


def transcript(response: Response, context: FolderContext) -> list[dict[str, object]]:
    return json.loads(context.kept[response.trace])


def test_calls_of_one_turn_are_done_in_their_order_and_all_answered(monkeypatch, tmp_path):
    world = counting()
    model = ScriptedModel([("add", '{"n": 1}'), ("nothing", "{}"), ("add", '{"n": 2}')], [("end", "{}")])
    response, context = work(monkeypatch, tmp_path, world, model)
    assert (response.status, response.error_code, response.attempts) == ("ok", "", 2)
    assert state(response, context) == [1, 2]
    said = transcript(response, context)
    results = [message["content"] for message in said if message["role"] == "tool"]
    assert (results[0], results[2], results[3]) == ("1", "3", "done")
    assert json.loads(results[1])["error"] == "unknown_tool"
    asked = [call["id"] for message in said for call in message.get("tool_calls", ())]
    assert [message["tool_call_id"] for message in said if message["role"] == "tool"] == asked
    assert len(set(asked)) == 4
    assert (response.usage.input_tokens, response.usage.output_tokens) == (14, 6)
    assert world.closed


@given(st.lists(st.sampled_from(["", "a", "b", "call_3_0", "call_3_1"]), max_size=8))
def test_every_call_of_a_turn_has_an_id_of_its_own_and_a_good_one_keeps_it(ids):
    calls = [ToolCall("add", str(place), name) for place, name in enumerate(ids)]
    named = with_ids(calls, 3)
    assert [(call.name, call.arguments) for call in named] == [(call.name, call.arguments) for call in calls]
    assert all(call.id for call in named)
    assert len({call.id for call in named}) == len(calls)
    for place, name in enumerate(ids):
        if name and name not in ids[:place]:
            assert named[place].id == name


def test_a_model_that_loops_for_ever_ends_at_the_turn_limit_and_its_state_is_kept(monkeypatch, tmp_path):
    model = ScriptedModel([("add", ADD)])
    response, context = work(monkeypatch, tmp_path, counting(), model, ItemLimits(turns=4))
    assert (response.status, response.error_code) == ("truncated", "turn_limit")
    assert state(response, context) == [1, 1, 1, 1]
    assert response.attempts == 4


@pytest.mark.parametrize(
    ("limits", "price", "code", "calls"),
    [
        (ItemLimits(tokens=25), Price(), "token_limit", 3),
        (ItemLimits(cost=15.0), Price(1e6, 1e6), "cost_limit", 2),
    ],
)
def test_tokens_and_cost_end_an_item(monkeypatch, tmp_path, limits, price, code, calls):
    response, context = work(monkeypatch, tmp_path, counting(), ScriptedModel([("add", ADD)]), limits, price)
    assert (response.status, response.error_code, response.attempts) == ("truncated", code, calls)
    assert state(response, context) == [1] * calls


def test_calls_made_at_a_time_count_when_they_begin(monkeypatch, tmp_path):
    class Agent:
        uses_tools = True

        async def answer(self, asked, context):
            model = ScriptedModel("go")
            await asyncio.gather(*(model.chat([], context) for _ in range(9)))

    response, context = work(monkeypatch, tmp_path, counting(), Agent(), ItemLimits(turns=4))
    assert (response.status, response.error_code, context.count.calls) == ("truncated", "turn_limit", 4)


def test_time_ends_an_item_in_the_middle_of_a_call(monkeypatch, tmp_path):
    world = counting()

    async def wait(_):
        await asyncio.sleep(60)

    world.tools = (*world.tools, FunctionTool("wait", wait))
    model = ScriptedModel([("add", ADD)], [("wait", "{}")])
    response, context = work(monkeypatch, tmp_path, world, model, ItemLimits(seconds=2))
    assert (response.status, response.error_code) == ("truncated", "time_limit")
    assert state(response, context) == [1]


def test_a_model_that_stops_too_early_is_reminded_once(monkeypatch, tmp_path):
    model = ScriptedModel("I am done.")
    response, context = work(monkeypatch, tmp_path, counting(), model)
    assert [message["role"] for message in transcript(response, context)] == ["user", "assistant", "user", "assistant"]
    assert (response.status, response.text, response.error_code) == ("ok", "I am done.", "")


def test_nothing_is_done_after_the_task_is_over(monkeypatch, tmp_path):
    model = ScriptedModel([("end", "{}"), ("add", ADD)])
    response, context = work(monkeypatch, tmp_path, counting(), model)
    assert json.loads(transcript(response, context)[-1]["content"]) == {"error": "over"}
    assert state(response, context) is None


def test_a_turn_may_ask_for_no_more_calls_than_are_allowed(monkeypatch, tmp_path):
    model = ScriptedModel([("add", ADD)] * (MOST_CALLS + 3), [("end", "{}")])
    response, context = work(monkeypatch, tmp_path, counting(), model)
    assert len(state(response, context)) == MOST_CALLS


def test_a_broken_tool_leaves_a_label_and_the_state_is_graded(monkeypatch, tmp_path):
    world = counting()

    async def broken(_):
        raise OSError

    world.tools = (*world.tools, FunctionTool("broken", broken))
    model = ScriptedModel([("broken", "{}"), ("add", ADD)], [("end", "{}")])
    response, context = work(monkeypatch, tmp_path, world, model)
    assert (response.status, response.error_code, response.error_class) == ("ok", "tool_failed", None)
    assert state(response, context) == [1]


def test_a_call_that_fails_for_good_keeps_what_was_paid(monkeypatch, tmp_path):
    class Dying(ScriptedModel):
        async def chat(self, messages, context, **more):
            if self.seen:
                raise CallError("submitter", "http_400", "no")
            return await super().chat(messages, context, **more)

    response, context = work(monkeypatch, tmp_path, counting(), Dying([("add", ADD)]))
    assert (response.status, response.error_class, response.error_code) == ("failed", "submitter", "http_400")
    assert response.usage.input_tokens == 7
    assert state(response, context) == [1]


def test_an_agent_takes_the_tools_itself(monkeypatch, tmp_path):
    class Agent:
        uses_tools = True

        async def answer(self, asked, context):
            await context.tools[0].call({"n": 5})
            return Response("ok", "five", artifacts=("notes",), trace="own")

    response, context = work(monkeypatch, tmp_path, counting(), Agent())
    assert (response.text, response.artifacts[1], response.trace) == ("five", "notes", "own")
    assert state(response, context) == [5]
    assert works_with_tools(Agent())
    assert works_with_tools(ScriptedModel())
    assert not works_with_tools(object())


@pytest.mark.parametrize(("answered", "status"), [(True, "truncated"), (False, "failed")])
def test_what_an_agent_tells_of_unfinished_work_is_kept_where_a_limit_ends_it(monkeypatch, tmp_path, answered, status):
    class Agent:
        uses_tools = True

        async def answer(self, asked, context):
            context.unfinished = lambda code: Response("truncated", error_code=code, artifacts=("notes",), trace="own")
            if answered:
                await ScriptedModel("go").chat([], context)
            await asyncio.sleep(60)

    response, context = work(monkeypatch, tmp_path, counting(), Agent(), ItemLimits(seconds=0.1))
    assert (response.status, response.error_code) == (status, "time_limit")
    assert (response.artifacts[1], response.trace) == ("notes", "own")
    assert state(response, context) is None


@pytest.mark.parametrize("what", ["made", "tools", "snapshot", "text", "bytes", "kind", "over"])
def test_an_environment_that_fails_is_our_fault(monkeypatch, tmp_path, what):
    class Broken(World):
        @property
        def tools(self):
            return 1 / 0 if what == "tools" else ()

        @tools.setter
        def tools(self, _):
            pass

        @property
        def over(self):
            return 1 / 0 if what == "over" else False

        @over.setter
        def over(self, _):
            pass

        def snapshot(self):
            return {"text": "text", "bytes": b"\xff", "kind": b"[]"}.get(what) or 1 / 0

    world = None if what == "made" else Broken()
    with pytest.raises(EnvironmentFailed):
        work(monkeypatch, tmp_path, world, ScriptedModel("Nothing to do."))


@pytest.mark.parametrize("leaving", [SystemExit(4), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("where", ["made", "snapshot"])
def test_an_environment_that_would_end_the_program_is_our_fault_too(monkeypatch, tmp_path, leaving, where):
    def leave():
        raise leaving

    class Leaving(World):
        snapshot = staticmethod(leave)

        async def close(self):
            leave()

    def make(*_):
        return leave() if where == "made" else Leaving()

    monkeypatch.setattr(sessions, "environment_maker", lambda _: make)

    async def main():
        session = Session(question("world"), FolderContext(tmp_path))
        await session.close()
        session.snapshot()

    with pytest.raises(EnvironmentFailed, match=type(leaving).__name__):
        asyncio.run(main())
