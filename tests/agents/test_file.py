"""The agent's file: everything that is wrong with it in one report, with its line."""

from __future__ import annotations

from importlib.resources import files

import pytest

from medbench.agents.orchestration.agent import agent_model
from medbench.agents.orchestration.file import LONGEST, read_agent_file
from medbench.errors import InputError
from medbench.models.registry import ModelOptions, create_model

MINIMAL = "backbone: {model: 'openai:x', base_url: 'http://127.0.0.1:9/v1'}\n"


HOSTILE = {
    "itself": "backbone: &a {model: *a}",
    "bomb": "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b, *b]",
    "deep": "backbone: " + "[" * 3000 + "]" * 3000,
    "date": "backbone: {model: 2024-13-45}",
    "number": "backbone: {model: !!int abc}",
    "empty number": "backbone: {model: !!int ''}",
    "time": "backbone: {model: !!timestamp abc}",
    "truth": "backbone: {model: !!bool abc}",
    "long": "# " + "x" * LONGEST,
}


def write(folder, text, name="agent.yaml"):
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def told(folder, text):
    with pytest.raises(InputError) as caught:
        read_agent_file(write(folder, text))
    return {(problem.field, problem.line) for problem in caught.value.problems}


def test_all_that_is_wrong_is_told_at_once_with_field_and_line(tmp_path):
    text = """\
backbone:
  modell: openai:x
  longest_prompt: many
  tools: perhaps
steps: {plan: 3, dance: true}
budget:
  turns: 3
  turns: 4
roles: [physician, surgeon]
guidelines: guidelines
prompts: {fr: {}}
"""
    assert told(tmp_path, text) == {
        ("backbone.modell", 2),
        ("backbone.longest_prompt", 3),
        ("backbone.tools", 4),
        ("backbone.model", 2),
        ("steps.plan", 5),
        ("steps.dance", 5),
        ("budget.turns", 8),
        ("roles", 9),
        ("guidelines", 10),
        ("prompts", 11),
    }


def test_what_types_can_not_say_is_told_too(tmp_path):
    text = """\
backbone: {model: 'openai:x', longest_prompt: 10}
budget: {turns: 0, tokens: 3}
roles: [nurse, nurse]
prompts:
  zh:
    plan: "计划 $prompt $weather"
    sing: "唱歌"
  en:
    plan: "costs $ 5"
"""
    assert told(tmp_path, text) == {
        ("backbone.longest_prompt", 1),
        ("budget.turns", 2),
        ("budget.tokens", 2),
        ("roles", 3),
        ("prompts.zh.plan", 6),
        ("prompts.zh.sing", 7),
        ("prompts.en.plan", 9),
    }


@pytest.mark.parametrize("text", ["", "a: [1", "- 1", "a: !!python/object:os.system x", "\x00", *HOSTILE.values()])
def test_what_is_no_such_yaml_is_an_input_error(tmp_path, text):
    with pytest.raises(InputError, match=r"agent\.yaml"):
        read_agent_file(write(tmp_path, text))


def test_the_shipped_file_is_read_and_is_the_default(tmp_path):
    text = files("medbench.agents.orchestration").joinpath("agent.yaml").read_text("utf-8")
    agent, _ = read_agent_file(write(tmp_path, text))
    assert set(agent.tools) == {"calculator", "interactions", "doses"}
    assert agent.steps == read_agent_file(write(tmp_path, MINIMAL))[0].steps


def test_problems_of_backbone_tools_and_guidelines_come_together(tmp_path):
    text = "backbone: {model: 'openai:x'}\ntools: {calculator: {formulas: [bmi, horoscope]}, abacus: {}}\n"
    write(tmp_path, text + "guidelines: {folder: nowhere}\n")
    with pytest.raises(InputError) as caught:
        agent_model("agent.yaml", ModelOptions(folder=tmp_path))
    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["--base-url", "tools.calculator.formulas", "tools.abacus", "guidelines.folder"]


@pytest.mark.parametrize(
    ("model", "said"), [("agent:other.yaml", "backbone of an agent"), ("answers:a.jsonl", "can't be talked to")]
)
def test_a_backbone_must_be_a_model_that_can_be_talked_to(tmp_path, model, said):
    write(tmp_path, '{"dataset": "D", "id": "1", "answer": "A"}\n', "a.jsonl")
    write(tmp_path, f"backbone: {{model: '{model}'}}\n")
    with pytest.raises(InputError, match=said):
        agent_model("agent.yaml", ModelOptions(folder=tmp_path))


def revision(folder) -> str:
    return create_model("agent:agent.yaml", ModelOptions(folder=folder)).identity.revision


def test_its_identity_changes_with_file_prompts_and_guidelines_and_with_nothing_else(tmp_path):
    guide = tmp_path / "guidelines"
    guide.mkdir()
    write(guide, "Give fluids.\n", "a.md")
    base = MINIMAL + "guidelines: {folder: guidelines}\n"
    write(tmp_path, base)
    first = revision(tmp_path)
    assert revision(tmp_path) == first
    seen = {first}
    write(guide, "Give more fluids.\n", "a.md")
    seen.add(revision(tmp_path))
    write(tmp_path, base + "prompts: {en: {plan: 'Plan: $prompt'}}\n")
    seen.add(revision(tmp_path))
    write(tmp_path, base + "steps: {plan: false}\n")
    seen.add(revision(tmp_path))
    assert len(seen) == 4


def test_options_of_the_command_line_go_to_the_backbone_and_resume_finds_the_same(tmp_path):
    write(tmp_path, "name: mine\n" + MINIMAL)
    options = ModelOptions(base_url="http://127.0.0.1:8/v1", parameters={"max_tokens": 7}, folder=tmp_path)
    identity = create_model("agent:agent.yaml", options).identity
    assert (identity.name, identity.endpoint, identity.parameters["max_tokens"]) == ("mine", "http://127.0.0.1:8/v1", 7)
    again = create_model(
        identity.spec, ModelOptions(base_url=identity.endpoint, parameters=identity.parameters, images=identity.images)
    )
    assert again.identity == identity
