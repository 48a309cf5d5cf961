"""CT volumes and masks: grids, NIfTI and DICOM, dataset folders, prepared cases."""

from agcrc.volumes.cases import PreparedCase, open_case, write_case
from agcrc.volumes.ct import read_ct
from agcrc.volumes.dataset import Case, Dataset, open_dataset
from agcrc.volumes.dataset_check import Remark, check_dataset
from agcrc.volumes.dicom import read_dicom_series
from agcrc.volumes.grid import Box, Grid, Spacing, Triple, Volume, bounding_box
from agcrc.volumes.msd10 import prepare_msd10
from agcrc.volumes.nifti import read_labels, require_same_grid, write_volume
from agcrc.volumes.resample import resample, resample_labels, resample_slabs

__all__ = [
    "Box",
    "Case",
    "Dataset",
    "Grid",
    "PreparedCase",
    "Remark",
    "Spacing",
    "Triple",
    "Volume",
    "bounding_box",
    "check_dataset",
    "open_case",
    "open_dataset",
    "prepare_msd10",
    "read_ct",
    "read_dicom_series",
    "read_labels",
    "require_same_grid",
    "resample",
    "resample_labels",
    "resample_slabs",
    "write_case",
    "write_volume",
]
