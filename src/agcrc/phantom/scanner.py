"""What the scanner adds: uneven tissue, blur and noise."""

from __future__ import annotations

import numpy as np

from agcrc.phantom.canvas import Floats

TEXTURE_LENGTH_MM = 4.5
TISSUE_TEXTURE_HU = 4.0
POINT_SPREAD_MM, RESAMPLING_VOXELS = 0.7, 0.3
"""Blur: of the scanner, and of putting its voxels on the grid of the tier; standard deviations."""
NOISE_GRAIN_VOXELS = 0.5
LOWEST_HU, HIGHEST_HU = -1024.0, 3071.0


def draw_texture(shape: tuple[int, int, int], voxel_mm: float, rng: np.random.Generator) -> Floats:
    """Smooth noise of mean 0 and standard deviation 1, (z, y, x)."""
    return _grain(shape, TEXTURE_LENGTH_MM / voxel_mm, rng)


def scan(ct: Floats, texture: Floats, spacing_mm: float, noise_hu: float, rng: np.random.Generator) -> Floats:
    """The CT as a scanner would give it.

    Args:
        ct: HU without noise, (z, y, x).
        texture: From `draw_texture`; makes soft tissue uneven, and masses as uneven as everything else.
        spacing_mm: Edge of a voxel.
        noise_hu: Standard deviation of the noise.
        rng: Draws the noise.

    Returns:
        Whole HU as float32, so that an integer file holds them exactly.
    """
    from scipy.ndimage import gaussian_filter

    uneven = ct + np.where(ct > -200.0, np.float32(TISSUE_TEXTURE_HU), np.float32(0.0)) * texture
    seen = gaussian_filter(uneven, np.hypot(POINT_SPREAD_MM / spacing_mm, RESAMPLING_VOXELS), mode="nearest")
    seen += np.float32(noise_hu) * _grain(seen.shape, NOISE_GRAIN_VOXELS, rng)
    return np.asarray(np.clip(np.rint(seen), LOWEST_HU, HIGHEST_HU), dtype=np.float32)


def _grain(shape: tuple[int, ...], length_voxels: float, rng: np.random.Generator) -> Floats:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), length_voxels, mode="wrap")
    noise -= noise.mean()
    noise /= noise.std()
    return np.asarray(noise, dtype=np.float32)
