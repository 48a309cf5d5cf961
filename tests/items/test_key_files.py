"""Keys that are files: checked when items are read, hashed into the keys, never within reach of a question."""

from __future__ import annotations

import json

import pytest

from medbench.catalog import Bilingual, Dataset, MaskForm, Part
from medbench.errors import InputError
from medbench.items.datasets import dataset_toml
from medbench.items.keys import open_keys
from medbench.items.model import Media
from medbench.items.source import open_source
from medbench.runs.ask import AskContext
from medbench.runs.config import Selection
from medbench.runs.plan import asked
from medbench.store.artifacts import Artifacts


@pytest.fixture
def items(tmp_path):
    """Writes one item whose answer is what is given, with the definition of its dataset."""
    title = Bilingual("分割", "Segmentation")
    dataset = Dataset("Masks", "imaging", "segmentation", title, title, (Part(MaskForm(), ("lesion_dice",)),), "ours")
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "masks.toml").write_text(dataset_toml(dataset), encoding="utf-8")
    (tmp_path / "ct.nii").write_bytes(b"ct")
    (tmp_path / "truth.nii").write_bytes(b"truth")

    def write(answer: object):
        row = {"id": "1", "dataset": "Masks", "question": "Segment.", "answer": answer, "media": ["ct.nii"]}
        path = tmp_path / "items.jsonl"
        path.write_text(json.dumps(row) + "\n", encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    "answer", ["gone.nii", "../secret.nii", "/etc/passwd", "truth.nii\x00", ["truth.nii"], {"a": "b"}]
)
def test_a_key_that_names_no_file_is_told_without_its_name(items, tmp_path, answer):
    path = items(answer)
    with pytest.raises(InputError) as caught:
        open_source(path, catalog_folder=tmp_path / "catalog")
    (found,) = caught.value.problems
    assert (found.field, found.line) == ("answer", 1)
    assert not any(name in f"{found.message}{found.advice}" for name in ("gone", "secret", "passwd", "truth"))


def test_a_key_covers_the_content_of_its_file_and_the_question_does_not(items, tmp_path):
    path, catalog = items("truth.nii"), tmp_path / "catalog"
    question, keys = open_source(path, catalog_folder=catalog).fingerprint, open_keys(path, catalog_folder=catalog)
    (key,) = keys.keys()
    assert keys.file(key.media[0]).read_bytes() == b"truth"
    (tmp_path / "truth.nii").write_bytes(b"other")
    assert open_keys(path, catalog_folder=catalog).fingerprint() != keys.fingerprint()
    assert open_source(path, catalog_folder=catalog).fingerprint == question


def test_an_item_without_an_answer_has_no_key(items, tmp_path):
    (key,) = open_keys(items(None), catalog_folder=tmp_path / "catalog").keys()
    assert (key.answer, key.media) == (None, ())


def test_a_context_gives_the_files_of_its_question_and_no_others(items, tmp_path):
    source = open_source(items("truth.nii"), catalog_folder=tmp_path / "catalog")
    (call,) = asked(source, Selection())
    context = AskContext(call, "", None, source.media_path, None, Artifacts(tmp_path / "artifacts"))
    assert context.file(call.question.media[0]) == tmp_path / "ct.nii"
    assert context.file(Media("truth.nii", "0" * 64)) is None
