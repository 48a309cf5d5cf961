from __future__ import annotations

import hashlib

import pytest

from medbench.store.artifacts import Artifacts


def test_the_same_content_is_kept_once_under_its_hash(tmp_path):
    artifacts = Artifacts(tmp_path / "artifacts")
    reference = artifacts.keep(b"mask", ".nii.gz")
    assert reference == hashlib.sha256(b"mask").hexdigest() + ".nii.gz"
    assert artifacts.keep(b"mask", ".nii.gz") == reference
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [reference]
    assert artifacts.path(reference).read_bytes() == b"mask"


def test_what_was_changed_is_gone_or_lies_elsewhere_is_not_found(tmp_path):
    artifacts = Artifacts(tmp_path / "artifacts")
    reference = artifacts.keep(b"mask", ".json")
    (tmp_path / "artifacts" / reference).write_bytes(b"other")
    (tmp_path / "secret.json").write_bytes(b"secret")
    for name in (reference, "0" * 64 + ".json", "../secret.json", "", "/etc/passwd"):
        assert artifacts.path(name) is None


@pytest.mark.parametrize("suffix", ["", "json", ".", "/x", ".a/b", ".toolongsuffix", ".a.b.c"])
def test_a_suffix_is_no_path(tmp_path, suffix):
    with pytest.raises(ValueError, match="no suffix"):
        Artifacts(tmp_path).keep(b"", suffix)
