"""Pictures and documents for tests, sound and hostile, made here."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid


def noise(width: int, height: int, seed: int = 0, mode: str = "RGB") -> Image.Image:
    """A picture that hardly compresses, the same for the same seed."""
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def flat_png(width: int, height: int) -> bytes:
    """A black PNG of one bit per pixel; few bytes, however many pixels."""
    packed = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(packed.compress(row * 64) for _ in range(height // 64)) + packed.compress(row * (height % 64))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data + packed.flush()) + chunk(b"IEND", b"")


def pdf(
    pages: int = 1,
    *,
    text: str = "Page",
    font: str = "Helvetica",
    script: str = "",
    size: tuple[float, float] = (200, 100),
) -> bytes:
    """A PDF whose pages say `text` and their number; `script` is JavaScript to run when it opens."""
    kids = " ".join(f"{10 + 2 * number} 0 R" for number in range(pages))
    action = f"/OpenAction << /S /JavaScript /JS ({script}) >>" if script else ""
    encoding = "" if text.isascii() else "/Encoding /UniGB-UCS2-H"
    kind = "/Type1" if text.isascii() else "/Type0"
    descendants = "" if text.isascii() else "/DescendantFonts [6 0 R]"
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R {action} >>",
        2: f"<< /Type /Pages /Count {pages} /Kids [{kids}] >>",
        3: f"<< /Type /Font /Subtype {kind} /BaseFont /{font} {encoding} {descendants} >>",
        6: f"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /{font} /CIDSystemInfo "
        "<< /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> /FontDescriptor 7 0 R >>",
        7: f"<< /Type /FontDescriptor /FontName /{font} /Flags 4 >>",
    }
    for number in range(pages):
        shown = f"({text} {number + 1})" if text.isascii() else f"<{text.encode('utf-16-be').hex()}>"
        stream = f"BT /F1 24 Tf 20 40 Td {shown} Tj ET"
        objects[10 + 2 * number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] /Contents {11 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects[11 + 2 * number] = f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream"
    file = b"%PDF-1.7\n"
    places = {}
    for number, content in sorted(objects.items()):
        places[number] = len(file)
        file += f"{number} 0 obj\n{content}\nendobj\n".encode()
    start = len(file)
    count = max(objects) + 1
    file += f"xref\n0 {count}\n0000000000 65535 f \n".encode()
    for number in range(1, count):
        file += f"{places[number]:010} 00000 n \n".encode() if number in places else b"0000000000 00000 f \n"
    return file + f"trailer << /Size {count} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()


def dicom(stored: np.ndarray | None, **fields: object) -> bytes:
    """A slice (rows, columns) or slices (frames, rows, columns) of stored values, HU + 1024; None: no pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    file.Modality = "CT"
    if stored is not None:
        file.Rows, file.Columns = stored.shape[-2:]
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 0
        file.RescaleSlope, file.RescaleIntercept = 1, -1024
        if stored.ndim == 3:
            file.NumberOfFrames = len(stored)
        file.PixelData = stored.astype("<u2").tobytes()
    for name, value in fields.items():
        setattr(file, name, value)
    stream = io.BytesIO()
    file.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def deflated_dicom_bomb(megabytes: int) -> bytes:
    """A DICOM file whose data set unpacks to so many million zeros."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    stream = io.BytesIO(bytes(128) + b"DICM")
    stream.seek(132)
    write_file_meta_info(stream, meta)
    packed = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return stream.getvalue() + b"".join(packed.compress(bytes(10**6)) for _ in range(megabytes)) + packed.flush()
