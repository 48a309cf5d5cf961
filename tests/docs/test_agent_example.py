"""The tool, the role and the approver of the how-to pages, outside the package, as their readers write them."""

from __future__ import annotations

import yaml

from medbench.agents.governance.approval import make_approver
from medbench.agents.orchestration.agent import agent_model
from medbench.agents.orchestration.events import Criticised, ToolUsed
from medbench.agents.orchestration.file import read_agent_file
from medbench.models.registry import ModelOptions
from support.agents import Backbone, Bench, calls, of, question
from support.pages import block, install

BACKBONE = "backbone: {model: 'openai:x', base_url: 'http://127.0.0.1:9/v1'}\n"


def test_the_pages_tool_is_found_by_its_registration_and_used(tmp_path, monkeypatch):
    install(tmp_path, "agent.md", "medbench.tools")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "agent.yaml").write_text(BACKBONE + block("agent.md", "yaml", "bed:"), "utf-8")
    assert read_agent_file(tmp_path / "agent.yaml")[0].tools == {"bed": {"beds": {"A1": 3, "A2": 0}}}
    (tool,) = agent_model("agent.yaml", ModelOptions(folder=tmp_path))._setup.tools
    backbone = Backbone(lambda messages, tools: calls(("bed", '{"ward": "A1"}')) if tools else "A")
    _, trace = Bench(tmp_path, backbone, tools=[tool]).ask(question())
    assert [use.result for use in of(trace, ToolUsed)] == ['{"free": 3}']


def test_the_pages_role_reviews(tmp_path):
    text = block("agent.md", "yaml", "roles:")
    prompts = yaml.safe_load(text)["prompts"]
    backbone = Backbone(lambda messages, tools: '{"problems": []}')
    _, trace = Bench(tmp_path, backbone, text).ask(question("What is to be done?", ()))
    assert [event.by for event in of(trace, Criticised)] == ["checks", "pharmacist", "infection_control"]
    told = [request["messages"][0]["content"] for request in backbone.requests]
    assert any(said["infection_control"] in told for said in prompts.values())


def test_the_pages_approver_is_found_by_its_registration(tmp_path, monkeypatch):
    install(tmp_path, "governance.md", "medbench.approvers")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert type(make_approver("pager")).__name__ == "Pager"
