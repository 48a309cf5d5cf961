from __future__ import annotations

import pytest
import torch

from agcrc.errors import InputError
from agcrc.train.networks import NETWORKS, build_network, logits_of


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_our_network_gives_its_resolutions_in_training_and_the_finest_else():
    net = build_network("resenc", 2, (8, 16, 32), (1, 1, 1), (16, 16, 16))
    x = torch.randn(1, 2, 16, 24, 32)
    net.train()
    assert [tuple(out.shape) for out in net(x)] == [(1, 2, 16, 24, 32), (1, 2, 8, 12, 16)]
    net.eval()
    assert tuple(net(x).shape) == (1, 2, 16, 24, 32)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_by_name_have_two_classes_and_a_gradient(name):
    side = 64 if name == "swinunetr" else 32
    net = build_network(name, 1, (8, 16), (1, 1), (side, side, side))
    out = logits_of(net(torch.randn(1, 1, side, side, side)))[0]
    assert tuple(out.shape) == (1, 2, side, side, side)
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters() if parameter.requires_grad)


def test_unknown_networks_and_patches_are_told():
    with pytest.raises(InputError, match="unet99"):
        build_network("unet99", 1, (8,), (1,), (8, 8, 8))
    with pytest.raises(InputError, match=r"halves it 2 times.*multiple of 4.*fewer features"):
        build_network("resenc", 1, (8, 16, 32), (1, 1, 1), (16, 18, 16))


@pytest.mark.parametrize(("name", "side"), [("segresnet", 8), ("mednext", 16), ("swinunetr", 32)])
def test_a_patch_that_a_network_can_not_take_is_told_before_training(name, side):
    for patch in ((2 * side, 2 * side, 2 * side + side // 2), (side, side, side)):
        with pytest.raises(InputError, match=rf"{name}.*multiple of {side} from {2 * side} on"):
            build_network(name, 1, (8,), (1,), patch)
