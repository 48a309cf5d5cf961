"""The tool that the how-to page walks through, outside the package, as its reader would write it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from medbench.agents.orchestration.agent import agent_model
from medbench.agents.orchestration.events import ToolUsed
from medbench.agents.orchestration.file import read_agent_file
from medbench.models.registry import ModelOptions
from support.agents import Backbone, Bench, calls, of, question

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "agent.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.S)


def test_the_pages_tool_is_found_by_its_registration_and_used(tmp_path, monkeypatch):
    (module,) = [block for block in blocks("python") if "ward_tools.py" in block]
    (registration,) = blocks("toml")
    (settings,) = [block for block in blocks("yaml") if "bed:" in block]
    (tmp_path / "ward_tools.py").write_text(module, "utf-8")
    folder = tmp_path / "ward_tools-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: ward-tools\nVersion: 1.0\n")
    points = tomllib.loads(registration)["project"]["entry-points"]["medbench.tools"]
    lines = [f"{name} = {target}" for name, target in points.items()]
    (folder / "entry_points.txt").write_text("\n".join(["[medbench.tools]", *lines]))
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "backbone: {model: 'openai:x', base_url: 'http://127.0.0.1:9/v1'}\n" + settings
    (tmp_path / "agent.yaml").write_text(text, "utf-8")
    assert read_agent_file(tmp_path / "agent.yaml")[0].tools == {"bed": {"beds": {"A1": 3, "A2": 0}}}
    (tool,) = agent_model("agent.yaml", ModelOptions(folder=tmp_path))._setup.tools
    backbone = Backbone(lambda messages, tools: calls(("bed", '{"ward": "A1"}')) if tools else "A")
    _, trace = Bench(tmp_path, backbone, tools=[tool]).ask(question())
    assert [use.result for use in of(trace, ToolUsed)] == ['{"free": 3}']
