"""Training: it learns, it resumes exactly, and its checkpoints are safe."""

from __future__ import annotations

import pickle

import msgspec
import numpy as np
import pytest
import torch

from agcrc.errors import InputError, WorkError
from agcrc.train import checkpoint
from agcrc.train.batches import BLANK, make_batch
from agcrc.train.checkpoint import load_model, load_tensors
from agcrc.train.loop import Trainer, probability
from agcrc.train.plan import read_plan, write_plan


def weights(run):
    return load_tensors(run / "last" / "weights.pt")


def test_it_learns_what_is_easy(tmp_path, plan, cases):
    plan = msgspec.structs.replace(plan, epochs=25, patches_per_case=8)
    rows = []
    Trainer(tmp_path / "run", plan, cases, device="cpu").fit(on_epoch=rows.append)
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert max(row["validation_dice"] for row in rows) > 0.7
    assert (tmp_path / "run" / "look.png").stat().st_size > 10_000
    net, read = load_model(tmp_path / "run")
    assert read == plan
    assert not net.training


@pytest.mark.parametrize("sampler", ["guided", "foreground"])
def test_a_resumed_run_ends_where_one_without_a_stop_ends(tmp_path, plan, cases, sampler):
    plan = msgspec.structs.replace(plan, sampler=sampler, organ_channel=True)
    Trainer(tmp_path / "whole", plan, cases, device="cpu").fit()
    Trainer(tmp_path / "parts", plan, cases, device="cpu").fit(until=1)
    for until in (3, 4):
        again = Trainer(tmp_path / "parts", plan, cases, device="cpu")
        again.resume()
        again.fit(until=until)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    curves = [(tmp_path / run / "curves.csv").read_text().splitlines() for run in ("whole", "parts")]
    assert [line.rsplit(",", 1)[0] for line in curves[0]] == [line.rsplit(",", 1)[0] for line in curves[1]]
    assert len(curves[0]) == 5


def test_a_checkpoint_of_another_plan_is_refused(tmp_path, plan, cases):
    Trainer(tmp_path / "run", plan, cases, device="cpu").fit(until=1)
    other = msgspec.structs.replace(plan, features=(8, 16))
    with pytest.raises(InputError, match=r"another plan.*plan\.json"):
        Trainer(tmp_path / "run", other, cases, device="cpu").resume()
    write_plan(tmp_path / "run" / "plan.json", other)
    with pytest.raises(InputError, match="another plan"):
        load_model(tmp_path / "run")


def test_a_checkpoint_that_runs_code_is_not_loaded(tmp_path):
    class Harm:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'harmed')!r}, 'w')",))

    for name, write in (("raw", pickle.dump), ("torch", torch.save)):
        path = tmp_path / name
        with path.open("wb") as stream:
            write({"weight": Harm()}, stream)
        with pytest.raises(InputError, match="tensors"):
            load_tensors(path)
    assert not (tmp_path / "harmed").exists()


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, plan, cases, monkeypatch):
    run = tmp_path / "run"
    Trainer(run, plan, cases, device="cpu").fit(until=1)
    before = weights(run)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full)
    again = Trainer(run, plan, cases, device="cpu")
    again.resume()
    with pytest.raises(WorkError, match="No space left"):
        again.fit()
    monkeypatch.undo()
    assert all(torch.equal(before[name], value) for name, value in weights(run).items())
    again.resume()


def test_a_kill_between_the_two_renames_is_mended(tmp_path, plan, cases):
    run = tmp_path / "run"
    Trainer(run, plan, cases, device="cpu").fit(until=1)
    (run / "last").rename(run / ".last.old")
    again = Trainer(run, plan, cases, device="cpu")
    again.resume()
    assert again.epoch == 1


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains_and_resumes(tmp_path, plan, cases, precision):
    plan = msgspec.structs.replace(plan, precision=precision)
    rows = []
    Trainer(tmp_path / "run", plan, cases, device="cpu").fit(until=2, on_epoch=rows.append)
    again = Trainer(tmp_path / "run", plan, cases, device="cpu")
    again.resume()
    again.fit(until=4, on_epoch=rows.append)
    assert len(rows) == 4
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert all(value.isfinite().all() and value.dtype == torch.float32 for value in weights(tmp_path / "run").values())


@pytest.mark.parametrize("network", ["segresnet", "mednext"])
def test_networks_of_monai_train_and_predict_by_name(tmp_path, plan, cases, network):
    plan = msgspec.structs.replace(
        plan, network=network, patch=(32, 32, 32), batch=1, patches_per_case=1, epochs=1, organ_channel=True
    )
    rows = []
    Trainer(tmp_path / "run", plan, cases, device="cpu").fit(on_epoch=rows.append)
    assert np.isfinite(rows[0]["loss"])
    net, read = load_model(tmp_path / "run")
    said = probability(net, cases[0], read, device="cpu")
    assert said.shape == cases[0].ct.shape
    assert 0 <= said.min() <= said.max() <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spacing_mm": [0.01, 1, 1]}, "spacing"),
        ({"patch": [4, 16, 16]}, "patch"),
        ({"learning_rate": 5}, "learning rate"),
        ({"features": [4]}, "features and blocks"),
        ({"speed": 1}, "unknown field"),
    ],
)
def test_wrong_plans_are_told(tmp_path, plan, change, message):
    path = tmp_path / "plan.json"
    write_plan(path, plan)
    assert read_plan(path) == plan
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **change}))
    with pytest.raises(InputError, match=message):
        read_plan(path)


def test_batches_depend_on_the_step_alone_and_keep_labels_whole(plan, cases):
    centres = np.array([[8, 14, 10], [0, 0, 0]])
    one, same, other = (make_batch(cases[:2], centres, plan, step=step, device="cpu") for step in (3, 3, 4))
    assert torch.equal(one.image, same.image)
    assert not torch.equal(one.image, other.image)
    assert set(one.lesion.unique().tolist()) <= {0, 1}
    assert one.weights.min() >= 0.05 - 1e-6
    assert one.weights.max() == 1


def test_the_loss_counts_what_the_plan_says(plan, cases):
    centres = np.array([[8, 14, 10]])
    of = {
        loss: make_batch(cases[:1], centres, msgspec.structs.replace(plan, loss=loss), step=0, device="cpu").weights
        for loss in ("plain", "ignore", "masked")
    }
    assert (of["plain"] == 1).all()
    assert set(of["ignore"].unique().tolist()) == {0, 1}
    assert ((of["masked"] == 1) == (of["ignore"] == 1)).all()


def test_the_organ_channel_is_blank_as_often_as_the_plan_says(plan, cases):
    plan = msgspec.structs.replace(plan, organ_channel=True, organ_dropout=0.5)
    centres = np.tile([[12, 14, 10]], (8, 1))
    blank = [
        bool((patch[1] == BLANK).all())
        for step in range(40)
        for patch in make_batch([cases[0]] * 8, centres, plan, step=step, device="cpu").image
    ]
    assert 0.4 < np.mean(blank) < 0.6
