"""CT volumes and masks: grids, NIfTI and DICOM, dataset folders, prepared cases."""

from agcrc.volumes.grid import Box, Grid, Spacing, Triple, Volume, bounding_box
from agcrc.volumes.nifti import read_ct, read_labels, require_same_grid, write_volume

__all__ = [
    "Box",
    "Grid",
    "Spacing",
    "Triple",
    "Volume",
    "bounding_box",
    "read_ct",
    "read_labels",
    "require_same_grid",
    "write_volume",
]
