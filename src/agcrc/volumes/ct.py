"""A CT from whatever form it lies in."""

from __future__ import annotations

from pathlib import Path

from agcrc.volumes.dicom import read_dicom_series
from agcrc.volumes.grid import Volume
from agcrc.volumes.nifti import read_nifti_ct


def read_ct(path: Path) -> Volume:
    """A CT in HU as float32, shape (z, y, x) in RAS+: a folder is read as a DICOM series, a file as NIfTI.

    Raises:
        InputError: See `read_dicom_series` and `read_nifti_ct`.
    """
    return read_dicom_series(path) if path.is_dir() else read_nifti_ct(path)
