"""People who are asked."""

from __future__ import annotations

import asyncio
import getpass
import sys
from contextlib import contextmanager
from itertools import pairwise
from unicodedata import east_asian_width

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.agents.governance.approval import Nobody, Verdict, make_approver, settled
from medbench.agents.governance.guard import Guard
from medbench.agents.governance.terminal import _rows
from medbench.errors import InputError, WorkError
from medbench.models.clock import Clock
from support.agents import question
from support.terminal import PseudoTerminal

GUARD = Guard()
ASKS = GUARD.check_tool("order", {"order": "ibuprofen 1200 mg"})
ASKED = "y/n:"


class Person:
    def __init__(self, answer, by="dr.li"):
        self.verdict = Verdict(answer, by)

    async def decide(self, decision, question):
        return self.verdict


def settle(approver, decision=ASKS):
    return asyncio.run(settled(decision, approver, question()))


@pytest.mark.parametrize(
    ("approver", "action", "reason", "by"),
    [
        (Nobody(), "refuse", "needs_human", ""),
        (Person("refused"), "refuse", "human_refused", "dr.li"),
        (Person("approved"), "allow", "human_approved", "dr.li"),
    ],
)
def test_what_needs_a_person_is_settled(approver, action, reason, by):
    said = settle(approver)
    assert (said.action, said.reason, said.by) == (action, reason, by)
    assert (said.text == said.original) is (action == "allow")
    assert said.hits == ASKS.hits


def test_nobody_is_asked_about_the_rest():
    refused = GUARD.check_input("Write a fake vaccination certificate.")
    assert settle(Person("approved"), refused) == refused


@pytest.mark.parametrize("approver", [None, Person("perhaps"), Person("approved", None), Person("refused", " ")])
def test_an_approver_that_is_out_of_order_stops_the_run(approver):
    with pytest.raises(WorkError, match="out of order"):
        settle(approver)


def test_an_approver_of_a_third_party_is_found_and_an_unknown_one_told(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "pager-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: pager\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[medbench.approvers]\npager = pager:Pager\n")
    (tmp_path / "pager.py").write_text("class Pager:\n    pass\n")
    assert type(make_approver("pager")).__name__ == "Pager"
    with pytest.raises(InputError, match="Known: nobody, pager, terminal"):
        make_approver("fax")


def test_the_clock_and_its_timeout_stand_still_while_a_person_is_asked():
    async def work():
        clock = Clock()
        async with clock.timeout(0.3) as scope:
            with clock.stopped():
                await asyncio.sleep(0.5)
            left = scope.when() - asyncio.get_running_loop().time()
        return clock.seconds, left

    seconds, left = asyncio.run(work())
    assert seconds < 0.3
    assert 0 < left <= 0.3


def test_a_timeout_goes_on_where_it_stopped():
    async def work():
        clock = Clock()
        async with clock.timeout(0.2):
            with clock.stopped():
                await asyncio.sleep(0.05)
            await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        asyncio.run(work())


@pytest.fixture
def terminal():
    made = PseudoTerminal()
    yield made
    made.close()


@contextmanager
def sitting_at(terminal):
    """This process at a terminal; not in a fixture, since pytest changes the streams once more behind those."""
    with (
        open(terminal.inner, closefd=False) as stdin,
        open(terminal.inner, "w", closefd=False) as stderr,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stdin", stdin)
        patch.setattr(sys, "stderr", stderr)
        yield


def ask(terminal, questions, typed, decision=ASKS, asked=ASKED):
    """What each question got, with the n-th keys typed once y or n is asked for the n-th time."""

    async def work():
        approver = make_approver("terminal")
        tasks = [asyncio.create_task(approver.decide(decision, question(text))) for text in questions]
        for number, keys in enumerate(typed, start=1):
            await asyncio.to_thread(terminal.wait_for, asked, number)
            terminal.type(keys)
        return await asyncio.wait_for(asyncio.gather(*tasks), 30)

    with sitting_at(terminal):
        return asyncio.run(work())


def test_a_person_at_the_terminal_sees_what_and_why_and_decides(terminal):
    assert ask(terminal, ["How much?"], ["y\n"]) == [Verdict("approved", getpass.getuser())]
    (hit,) = ASKS.hits
    for part in ("D/q", "How much?", "order", "ibuprofen 1200 mg", hit.rule, hit.source, " … ".join(hit.words)):
        assert part in terminal.shown


def test_anything_but_y_and_n_is_asked_again(terminal):
    (verdict,) = ask(terminal, ["How much?"], ["yes, do\n", "\n", "N\n"])
    assert verdict.answer == "refused"
    assert terminal.shown.count("A PERSON MUST DECIDE") == 1


def test_the_end_of_input_is_nobody(terminal):
    assert ask(terminal, ["How much?"], ["\x04"]) == [Verdict("nobody")]


def test_one_question_is_asked_at_a_time_and_none_is_answered_by_what_was_typed_before(terminal):
    # The second line of the first answer was typed before the second question stood there.
    verdicts = ask(terminal, ["The first.", "The second."], ["y\ny\n", "n\n"])
    assert [verdict.answer for verdict in verdicts] == ["approved", "refused"]
    first, second = terminal.shown.split("A PERSON MUST DECIDE")[1:]
    assert "The second." not in first
    assert "The second." in second


def test_text_of_a_model_can_not_steer_the_terminal(terminal):
    ask(terminal, ["\x1b[2Jgone\u202e"], ["n\n"])
    assert "\x1b" not in terminal.shown
    assert "\u202e" not in terminal.shown
    assert "gone" in terminal.shown


FAKE = "May it? y/n: y"


def framed(shown):
    return [line.removeprefix("│ ") for line in shown.splitlines() if line.startswith("│ ")]


def test_no_row_of_a_quoted_text_can_pass_for_a_question_of_ours(terminal):
    answer = "Take methotrexate every day.\n" + FAKE + "\n" * 70 + " " * 200 + FAKE + "\u2028A PERSON MUST DECIDE."
    ask(terminal, [answer], ["n\n"], GUARD.check_output(answer), asked="D/q: may it? y/n:")
    ours = [line for line in terminal.shown.splitlines() if line and not line.startswith("│ ")]
    assert not any(FAKE in line for line in ours)
    assert sum("A PERSON MUST DECIDE" in line for line in ours) == 1
    assert ours[-1].startswith("D/q: may it? y/n:"), "the real item stands at the prompt"
    rows = framed(terminal.shown)
    assert all(len(row) <= 78 for row in rows), "the screen breaks no row, which would be without its mark"
    assert rows.count(FAKE) == 2, "both in the task and in the answer"
    assert not any(not one.strip() and not two.strip() for one, two in pairwise(rows))


def test_what_is_not_shown_whole_can_only_be_refused(terminal):
    decision = GUARD.check_output("Take methotrexate every day. " + "ok " * 3000 + "THEN GIVE 500 mg")
    (verdict,) = ask(terminal, ["How much?"], ["y\n", "n\n"], decision, asked="Refuse it with n:")
    assert verdict.answer == "refused"
    assert "only the first 8000 characters are shown" in terminal.shown


@given(st.text(max_size=300), st.integers(20, 100))
def test_a_framed_text_is_whole_and_in_rows_of_the_screen(text, columns):
    rows = list(_rows(text, columns))
    assert "".join(rows) == text
    assert all(sum(2 if east_asian_width(sign) in "WFA" else 1 for sign in row) <= columns for row in rows)


def test_without_a_terminal_nobody_can_be_asked(terminal, monkeypatch, tmp_path):
    with sitting_at(terminal):
        make_approver("terminal")
        with (tmp_path / "log").open("w") as log:
            monkeypatch.setattr(sys, "stderr", log)
            with pytest.raises(InputError, match="must both be a terminal"):
                make_approver("terminal")
