"""Where training looks: patches guided by anatomy through a gain function, and the usual ways to compare with."""

from agcrc.sampling.background import BackgroundCentres
from agcrc.sampling.case import Centres, PatchSampler, SamplingCase
from agcrc.sampling.factory import SamplerKind, make_sampler
from agcrc.sampling.measures import Sight, sight
from agcrc.sampling.patches import patch_box
from agcrc.sampling.plot import plot_sampling
from agcrc.sampling.settings import GainSettings

__all__ = [
    "BackgroundCentres",
    "Centres",
    "GainSettings",
    "PatchSampler",
    "SamplerKind",
    "SamplingCase",
    "Sight",
    "make_sampler",
    "patch_box",
    "plot_sampling",
    "sight",
]
