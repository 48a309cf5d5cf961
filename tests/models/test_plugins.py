"""Model kinds of third parties: found by entry points, with clear words where something is wrong with them."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from medbench.errors import InputError
from medbench.models.registry import ModelOptions, create_model


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a distribution that registers a model kind, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, kind: str, target: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[medbench.models]\n{kind} = {target}\n")

    return make


def test_a_kind_is_made_by_what_registered_it(package, monkeypatch):
    monkeypatch.setitem(sys.modules, "echo_plugin", SimpleNamespace(make=lambda name, options: (name, options)))
    package("echo-models", "echo", "echo_plugin:make")
    options = ModelOptions(parameters={"loud": True})
    assert create_model("echo:a:b", options) == ("a:b", options)


def test_what_it_needs_and_does_not_find_is_told_with_its_package(package):
    package("echo-models", "echo", "nowhere_installed.models:make")
    with pytest.raises(InputError, match=r"echo-models.*nowhere_installed"):
        create_model("echo:a", ModelOptions())


def test_a_name_that_two_packages_claim_is_refused(package):
    package("first-models", "echo", "one:make")
    package("second-models", "echo", "two:make")
    with pytest.raises(InputError, match="first-models, second-models"):
        create_model("echo:a", ModelOptions())


def test_a_name_that_medbench_has_itself_is_refused(package):
    package("first-models", "openai", "one:make")
    with pytest.raises(InputError, match="first-models, medbench"):
        create_model("openai:a", ModelOptions(base_url="http://localhost/v1"))


def test_an_unknown_kind_tells_those_of_third_parties_too(package):
    package("echo-models", "echo", "one:make")
    with pytest.raises(InputError, match=r"Known: .*echo.*openai"):
        create_model("ecko:a", ModelOptions())


def test_a_base_url_is_none_of_a_local_model():
    with pytest.raises(InputError, match="openai:NAME") as refused:
        create_model("local:smollm2", ModelOptions(base_url="http://localhost/v1"))
    assert refused.value.problems[0].field == "--base-url"
