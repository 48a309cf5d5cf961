"""Decode media in a process of its own: `python -m medbench.models.media_worker [dicom]`.

Pictures and documents come from anywhere, and decoders have faults. This process gets their bytes through a pipe and
gives images back through another. Once its libraries are loaded it can open neither a file nor a socket; its memory is
capped, a clock ends it, and it has none of its parent's secrets. Whatever happens here costs one medium.

An order is a line of JSON (`Order`) and the bytes; a reply is a line of JSON (`Reply`) and the bytes of every image.
"""

from __future__ import annotations

import copy  # noqa: F401 - GIF takes it when it is opened, which is too late
import errno
import signal
import sys
from collections.abc import Iterator, MutableSequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import pypdfium2
from PIL import (  # the formats are named, since there is no loading them later
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageOps,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)
from pypdfium2 import raw as pdfium

from medbench.items.media import kind_of
from medbench.models.image_header import image_header
from medbench.models.images import Fault, ImageLimits, Order, Reply, SentImage
from medbench.models.locked_process import lock

MEMORY = 1024**3
"""Bytes of address space."""
MOST_PIXELS = 40_000_000
"""Of one picture, before it is made smaller: a mammogram has 14 million."""
DOTS_PER_INCH = 200
"""Of a PDF's page, where the limit on its side allows: small print of 6 points is then 17 pixels high."""
OTHER_SCRIPTS = 0x400
"""The first letter behind Latin and Greek: Cyrillic; Chinese comes later."""
CT_WINDOW = (40.0, 400.0)
"""Soft tissue, in HU; for CT slices that bring no window of their own."""
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF"}
JPEG_QUALITY = 95
SHRINK = 0.8
SMALLEST_SIDE = 32

if TYPE_CHECKING:
    from pydicom import Dataset

Made = tuple[SentImage, bytes]


class Unusable(Exception):
    """A medium of which no images can be made."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


def main() -> None:
    """Take orders until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    Image.MAX_IMAGE_PIXELS = None  # ours is checked before anything is decoded
    Image.preinit()
    if "dicom" in sys.argv[1:]:
        import pydicom.pixels  # noqa: F401 - to be there when it is needed
    pypdfium2.PdfDocument.new().close()  # makes the library load what it loads but once
    orders, replies = sys.stdin.buffer, sys.stdout.buffer
    decode = msgspec.json.Decoder(Order).decode
    lock(MEMORY)
    for line in orders:
        order = decode(line)
        data = orders.read(order.length)
        signal.setitimer(signal.ITIMER_REAL, order.seconds)  # nobody handles its signal: it ends the process
        made: list[Made] = []
        fault: Fault | None = None
        try:
            made = list(make(data, order.limits))
        except Unusable as error:
            fault = error.fault
        except MemoryError:
            fault = "too_much_memory"
        except Exception as error:
            if getattr(error, "errno", None) == errno.EMFILE:
                raise  # a library wanted more of itself: no fault of the medium
            fault = "corrupt"
        signal.setitimer(signal.ITIMER_REAL, 0)
        images = () if fault else tuple(image for image, _ in made)
        replies.write(msgspec.json.encode(Reply(images, fault)) + b"\n")
        if not fault:
            replies.writelines(content for _, content in made)
        replies.flush()


def make(data: bytes, limits: ImageLimits) -> Iterator[Made]:
    """Make images of a medium; content decides what it is, never its name.

    Raises:
        Unusable: With the reason.
        Exception: What a decoder raises where the medium is damaged.
    """
    kind = kind_of(data[:256])
    if kind == "pdf":
        return _pages(data, limits)
    if kind == "dcm":
        return _slices(data, limits)
    if kind in FORMATS:
        return _pictures(data, kind, limits)
    raise Unusable("unsupported")


def _pictures(data: bytes, kind: str, limits: ImageLimits) -> Iterator[Made]:
    if kind in ("png", "jpg", "webp") and image_header(data) is None:
        raise Unusable("corrupt")
    with Image.open(BytesIO(data), formats=(FORMATS[kind],)) as picture:
        _check_pixels(*picture.size)
        # A JPEG's further pictures are previews of the first.
        frames = 1 if kind == "jpg" else getattr(picture, "n_frames", 1)
        if frames > limits.count:
            raise Unusable("too_many_images")
        for frame in range(frames):
            picture.seek(frame)
            _check_pixels(*picture.size)
            shown, window = _eight_bit(ImageOps.exif_transpose(picture))
            page = frame + 1 if frames > 1 else 0
            yield _fitted(shown, limits, "converted", page=page, window=window, lossy=kind == "jpg")


def _pages(data: bytes, limits: ImageLimits) -> Iterator[Made]:
    """The pages of a PDF, with what its forms hold. Nothing in it runs: the library has no engine for scripts."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        locked = getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD
        raise Unusable("locked" if locked else "corrupt") from None
    count = len(document)
    if not count:
        raise Unusable("no_pixels")
    if count > limits.count:
        raise Unusable("too_many_images")
    if "V8" not in pypdfium2.PDFIUM_INFO.flags:  # a build with an engine would run scripts when forms are made ready
        document.init_forms()
    for number in range(count):
        page = document[number]
        width, height = page.get_size()
        _check_fonts(page)
        scale = min(DOTS_PER_INCH / 72, limits.side / max(width, height))
        shown = page.render(scale=scale).to_pil()
        original = (round(width), round(height))
        yield _fitted(shown, limits, "rendered", page=number + 1 if count > 1 else 0, original=original)
        page.close()


def _check_fonts(page: pypdfium2.PdfPage) -> None:
    """Refuse a page with text in a font that the file does not bring: it would be shown without it.

    The library has Latin fonts of its own, with Greek letters and signs. Those of this machine are out of reach, so
    that a page looks the same on every machine.

    Raises:
        Unusable: There is such text in another script.
    """
    text = page.get_textpage()
    for shape in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_TEXT]):
        if pdfium.FPDFFont_GetIsEmbedded(pdfium.FPDFTextObj_GetFont(shape.raw)) == 1:
            continue
        length = pdfium.FPDFTextObj_GetText(shape.raw, text.raw, None, 0)
        buffer = (pdfium.FPDF_WCHAR * (length // 2))()
        pdfium.FPDFTextObj_GetText(shape.raw, text.raw, buffer, length)
        if any(code >= OTHER_SCRIPTS and chr(code).isalpha() for code in buffer):
            raise Unusable("fonts_missing")


def _slices(data: bytes, limits: ImageLimits) -> Iterator[Made]:
    """The slices of a DICOM file, shown by its first window (DICOM PS3.3 C.11.2.1.2.1, linear)."""
    import pydicom
    from pydicom.pixels.processing import apply_modality_lut
    from pydicom.pixels.utils import pixel_array

    dataset = pydicom.dcmread(BytesIO(data))
    if "PixelData" not in dataset:
        raise Unusable("no_pixels")
    _check_pixels(dataset.Columns, dataset.Rows)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > limits.count:
        raise Unusable("too_many_images")
    for frame in range(frames):
        try:
            values = pixel_array(dataset, index=frame)
        except (NotImplementedError, RuntimeError):  # a compression that takes a library of its own
            raise Unusable("unsupported") from None
        window = None
        if values.ndim == 2:
            values = apply_modality_lut(values, dataset)
            window = _window(dataset, values)
            values = _windowed(values, window)
            if dataset.PhotometricInterpretation == "MONOCHROME1":
                values = 255 - values
        elif values.dtype != np.uint8:
            raise Unusable("unsupported")
        page = frame + 1 if frames > 1 else 0
        yield _fitted(Image.fromarray(values), limits, "rendered", page=page, window=window)


def _window(dataset: Dataset, values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """The file's first window; without one soft tissue for CT, else all values of the slice."""
    given = [dataset.get(name) for name in ("WindowCenter", "WindowWidth")]
    centre, width = (each[0] if isinstance(each, MutableSequence) and each else each for each in given)
    if centre not in (None, "") and width not in (None, "") and float(width) >= 1.0:
        return float(centre), float(width)
    if dataset.get("Modality") == "CT":
        return CT_WINDOW
    return _whole_range(values)


def _whole_range(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low + high + 1.0) / 2.0, high - low + 1.0


def _windowed(values: np.ndarray[Any, Any], window: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Grey values 0..255: linear within the window, as PS3.3 C.11.2.1.2.1 has it."""
    centre, width = window
    shares = (values - (centre - 0.5)) / max(width - 1.0, 1.0) + 0.5
    return np.asarray(np.clip(shares * 255.0 + 0.5, 0.0, 255.0), dtype=np.uint8)


def _eight_bit(picture: Image.Image) -> tuple[Image.Image, tuple[float, float] | None]:
    """The picture in a mode that PNG and viewers know, and the window where that took one."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, dtype=np.float32)
        window = _whole_range(values)
        return Image.fromarray(_windowed(values, window)), window
    mode = "RGBA" if picture.has_transparency_data else "L" if picture.mode in ("1", "L") else "RGB"
    return picture.convert(mode), None


def _fitted(
    picture: Image.Image,
    limits: ImageLimits,
    how: Literal["converted", "rendered"],
    *,
    page: int,
    original: tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    lossy: bool = False,
) -> Made:
    """A picture within the limits: made smaller, as PNG where that is small enough, else as JPEG."""
    original = original or picture.size
    longest = min(limits.side, max(picture.size))
    while longest >= SMALLEST_SIDE or longest >= max(picture.size):
        share = longest / max(picture.size)
        shown = picture
        if share < 1.0:
            size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
            shown = picture.resize(size, Image.Resampling.LANCZOS)
        for kind in ("jpeg",) if lossy else ("png", "jpeg"):
            content = _encoded(shown, kind)
            if len(content) <= limits.size:
                sent = SentImage(
                    kind="png" if kind == "png" else "jpeg",
                    size=len(content),
                    width=shown.width,
                    height=shown.height,
                    how=how,
                    original=original,
                    page=page,
                    window=window,
                )
                return sent, content
        longest = int(longest * SHRINK)
    raise Unusable("too_many_bytes")


def _encoded(picture: Image.Image, kind: str) -> bytes:
    """PNG or JPEG without metadata; JPEG, which knows no transparency, on white."""
    stream = BytesIO()
    picture.info = {}
    if kind == "png":
        picture.save(stream, "PNG")
        return stream.getvalue()
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture).convert("RGB")
    picture.save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()


def _check_pixels(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise Unusable("no_pixels")
    if width * height > MOST_PIXELS:
        raise Unusable("too_many_pixels")


if __name__ == "__main__":
    main()
