"""Suite files: all that is wrong with one is told at once, before anything is asked."""

from __future__ import annotations

import pytest

from medbench.errors import InputError
from medbench.runs.suite import read_suite, run_suite
from medbench.store.strict_yaml import LONGEST


def told(folder, text):
    path = folder / "suite.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as caught:
        run_suite(path, folder / "out")
    assert not (folder / "out").exists()
    return [(str(problem.file).removeprefix(f"{folder}/"), problem.line, problem.field)
            for problem in caught.value.problems]  # fmt: skip


def test_all_that_is_wrong_with_it_and_with_what_it_names_is_told_at_once(tmp_path):
    (tmp_path / "agent.yaml").write_text("backbone: {model: 'openai:x'}\n", "utf-8")
    text = """\
items: items.jsonl
selection: {epochs: 0, orders: any}
models:
  - {name: base, model: 'openai:x', base_url: 'ftp://host', images: {side: 3}}
  - {name: base, model: 'agent:agent.yaml'}
  - {model: 'opnai:x', colour: red}
judges:
  - gone.toml
  - {model: 'openai:j'}
"""
    suite = "suite.yaml"
    assert sorted(told(tmp_path, text), key=str) == sorted(
        [
            (suite, 2, "selection.epochs"),
            (suite, 2, "selection.orders"),
            (suite, 4, "models[0].base_url"),
            (suite, 4, "models[0].images.side"),
            (suite, 5, "models[1].name"),
            ("agent.yaml", 1, "backbone.base_url"),
            (suite, 6, "models[2].name"),
            (suite, 6, "models[2].model"),
            (suite, 6, "models[2].colour"),
            ("gone.toml", None, None),
            (suite, 9, "judges[1].base_url"),
        ],
        key=str,
    )


@pytest.mark.parametrize("text", ["", "- 1", "items: x\nmodels: []\n", "items: x\nmodels: 3\n"])
def test_a_suite_without_models_is_refused(tmp_path, text):
    assert told(tmp_path, text)


@pytest.mark.parametrize(
    "text", ["items: &a x\nmodels: [*a]\n", "# " + "x" * LONGEST, "items: [", "items: !!python/name:os.system x\n"]
)
def test_hostile_yaml_is_refused(tmp_path, text):
    assert told(tmp_path, text)[0][0] == "suite.yaml"


def test_a_right_suite_is_read(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text("items: i.jsonl\nmodels: [{name: a, model: 'openai:x', images: {side: 512}}]\njudges: [j.toml]\n")
    suite, document = read_suite(path)
    assert (document.problems, suite.models[0].images.side, suite.judges) == ([], 512, ("j.toml",))
