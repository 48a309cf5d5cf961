"""Networks: a residual-encoder U-Net of our own size range, and MONAI's by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from agcrc.errors import InputError, Problem

OWN = "resenc"
CLASSES = 2


class ResidualBlock(nn.Module):
    """Two 3³ convolutions with instance norm and a shortcut; the first may halve the resolution."""

    def __init__(self, incoming: int, outgoing: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv3d(incoming, outgoing, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.InstanceNorm3d(outgoing, affine=True)
        self.second = nn.Conv3d(outgoing, outgoing, 3, padding=1, bias=False)
        self.second_norm = nn.InstanceNorm3d(outgoing, affine=True)
        self.act = nn.LeakyReLU(0.01, inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or incoming != outgoing:
            pool = nn.AvgPool3d(stride) if stride != 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv3d(incoming, outgoing, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (b, incoming, z, y, x) -> (b, outgoing, z/stride, …)."""
        y = self.act(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        out: Tensor = self.act(y + self.shortcut(x))
        return out


class ResidualEncoderUNet(nn.Module):
    """A U-Net whose encoder is residual (as nnU-Net's ResEnc presets) and whose decoder is light.

    Args:
        channels: Of the input.
        features: Per resolution, the finest first.
        blocks: Residual blocks per resolution of the encoder.
    """

    def __init__(self, channels: int, features: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        incoming = channels
        for level, (width, count) in enumerate(zip(features, blocks, strict=True)):
            first = ResidualBlock(incoming, width, stride=1 if level == 0 else 2)
            self.stages.append(nn.Sequential(first, *[ResidualBlock(width, width) for _ in range(count - 1)]))
            incoming = width
        self.ups, self.merges, self.heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for fine, coarse in zip(reversed(features[:-1]), reversed(features[1:]), strict=True):
            self.ups.append(nn.ConvTranspose3d(coarse, fine, 2, stride=2))
            merge = nn.Conv3d(2 * fine, fine, 3, padding=1, bias=False)
            self.merges.append(
                nn.Sequential(merge, nn.InstanceNorm3d(fine, affine=True), nn.LeakyReLU(0.01, inplace=True))
            )
            self.heads.append(nn.Conv3d(fine, CLASSES, 1))

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Shape (b, channels, z, y, x) -> logits (b, 2, z, y, x); in training a list, the finest first."""
        kept: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            kept.append(x)
        outputs: list[Tensor] = []
        for up, merge, head, skip in zip(self.ups, self.merges, self.heads, reversed(kept[:-1]), strict=True):
            x = merge(torch.cat([up(x), skip], dim=1))
            outputs.append(head(x))
        outputs.reverse()
        return outputs if self.training else outputs[0]


def _segresnet(channels: int) -> nn.Module:
    from monai.networks.nets.segresnet import SegResNet

    net: nn.Module = SegResNet(spatial_dims=3, in_channels=channels, out_channels=CLASSES, init_filters=16)
    return net


def _swin(channels: int) -> nn.Module:
    from monai.networks.nets.swin_unetr import SwinUNETR

    net: nn.Module = SwinUNETR(in_channels=channels, out_channels=CLASSES, feature_size=24)
    return net


def _mednext(channels: int) -> nn.Module:
    from monai.networks.nets.mednext import MedNeXtS

    net: nn.Module = MedNeXtS(spatial_dims=3, in_channels=channels, out_channels=CLASSES)
    return net


MONAI: Mapping[str, tuple[Callable[[int], nn.Module], int]] = {
    "segresnet": (_segresnet, 8),
    "swinunetr": (_swin, 32),
    "mednext": (_mednext, 16),
}
"""How each is made, and what the sides of its patch must be multiples of."""
NETWORKS = (OWN, *MONAI)


def build_network(
    name: str, channels: int, features: Sequence[int], blocks: Sequence[int], patch: Sequence[int]
) -> nn.Module:
    """A network with two classes by its name: `resenc`, or one of MONAI's (`segresnet`, `swinunetr`, `mednext`).

    Raises:
        InputError: Unknown name, or a patch that the network can't halve often enough.
    """
    if name not in NETWORKS:
        raise InputError(Problem(f"there is no network {name!r}.", f"Known: {', '.join(NETWORKS)}."))
    step = 2 ** (len(features) - 1) if name == OWN else MONAI[name][1]
    # Instance norm needs more than one voxel where the patch is smallest.
    if any(size % step or size < 2 * step for size in patch):
        raise InputError(
            Problem(
                f"patch {tuple(patch)} does not fit {name}, which halves it {step.bit_length() - 1} times.",
                f"Make each side a multiple of {step} from {2 * step} on"
                f"{', or take fewer features' if name == OWN else ''} in plan.json.",
            )
        )
    return ResidualEncoderUNet(channels, features, blocks) if name == OWN else MONAI[name][0](channels)


def logits_of(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """The outputs of any network as a list of logits, the finest first."""
    return [output] if isinstance(output, Tensor) else list(output)
