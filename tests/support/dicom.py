"""CT series as DICOM files, for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
Change = Callable[[FileDataset, int], Any]


def write_series(
    folder: Path,
    stored: np.ndarray,
    *,
    directions: tuple[float, ...] = AXIAL,
    pixel: tuple[float, float] = (0.9, 0.7),
    step: tuple[float, float, float] | None = None,
    origin: tuple[float, float, float] = (-100.0, -80.0, 500.0),
    change: Change | None = None,
) -> Path:
    """Slices (n, rows, columns) of stored values, HU = stored * 2 - 1000; `change` alters a slice before writing."""
    folder.mkdir(parents=True, exist_ok=True)
    series, frame = generate_uid(), generate_uid()
    if step is None:
        step = tuple(2.5 * np.cross(directions[:3], directions[3:]))
    for number, plane in enumerate(stored):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        # The order of the names says nothing about the order of the slices.
        file = FileDataset(
            str(folder / f"{(number * 7) % len(stored):03d}.dcm"), {}, file_meta=meta, preamble=bytes(128)
        )
        file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        file.SeriesInstanceUID, file.FrameOfReferenceUID = series, frame
        file.StudyInstanceUID = generate_uid()
        file.Modality, file.SeriesDescription, file.InstanceNumber = "CT", "Abdomen", len(stored) - number
        file.PatientName, file.PatientID = "Phantom", "1"
        file.ImageOrientationPatient = list(directions)
        file.ImagePositionPatient = [round(float(v), 4) for v in np.array(origin) + number * np.array(step)]
        file.PixelSpacing = list(pixel)
        file.SliceThickness = 2.5
        file.Rows, file.Columns = plane.shape
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 0
        file.RescaleSlope, file.RescaleIntercept, file.RescaleType = 2, -1000, "HU"
        file.PixelData = plane.astype("<u2").tobytes()
        if change is not None and change(file, number) is False:
            continue
        file.save_as(file.filename, enforce_file_format=True)
    return folder
