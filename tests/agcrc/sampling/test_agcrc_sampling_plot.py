from __future__ import annotations

from pathlib import Path

import numpy as np

from agcrc.sampling import SamplingCase, plot_sampling


def picture(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return imread(path)[..., :3]


def test_the_picture_shows_organ_and_lesion(tmp_path: Path, tube: SamplingCase) -> None:
    path = tmp_path / "new" / "sampling.png"
    plot_sampling(path, tube, (16, 16, 16), seed=1)
    image = picture(path)
    assert image.shape[0] > 0.6 * image.shape[1]
    core = np.abs(image - np.array([0xB5, 0xA8, 0x91]) / 255).max(axis=2) < 0.01
    assert core.mean() > 0.01
    reddish = (image[..., 0] - image[..., 1] > 0.35) & (image[..., 2] - image[..., 1] > 0.0)
    assert reddish.sum() > 4 * 30


def test_a_slab_without_lesion_makes_a_lower_picture(tmp_path: Path, tube: SamplingCase) -> None:
    slab = (slice(20, 30), slice(None), slice(None))
    case = SamplingCase("slab", tube.spacing, np.zeros((10, 44, 60), bool), tube.ooi[slab], tube.core_distance_mm[slab])
    plot_sampling(tmp_path / "slab.png", case, (16, 16, 16), seed=1)
    height, width = picture(tmp_path / "slab.png").shape[:2]
    assert height < 0.55 * width
