from __future__ import annotations

from pathlib import Path

import pytest

from medbench.agents.environments.ehr import RecordStore
from medbench.errors import WorkError
from medbench.items.source import open_source
from medbench.items.synthetic.write import write_items
from medbench.runs.config import Selection
from medbench.runs.serving import pending, serve_item


def test_an_item_whose_environment_has_no_state_was_not_served(tmp_path, monkeypatch):
    pytest.importorskip("mcp")
    written = write_items(tmp_path / "world", 0)
    source = open_source(Path(written.items), catalog_folder=Path(written.catalog))
    monkeypatch.setattr(RecordStore, "snapshot", lambda _: 1 / 0)
    out = tmp_path / "left"
    with pytest.raises(WorkError, match="ZeroDivisionError"):
        serve_item(source, "SyntheticEHR/find-01", out)
    assert pending(source, Selection(limit=1), out) == (["SyntheticEHR/find-01"], 0)
