"""Images as they are sent to an endpoint: limits, what is recorded of each, and the request body that holds them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

PIECE = 384 * 1024
"""Bytes of an image read at a time: in base64 what libcurl takes at a time, see `medbench.models.http.UPLOAD_BYTES`."""
PATCH = 16

Fault = Literal[
    "unsupported",
    "corrupt",
    "locked",
    "no_pixels",
    "fonts_missing",
    "too_many_pixels",
    "too_many_images",
    "too_many_bytes",
    "too_much_memory",
]
"""Why no images can be made of a medium."""


class ImageLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an endpoint takes. An image within the limits is sent byte for byte; any other is made to fit.

    Attributes:
        side: Longest side of an image, in pixels.
        size: Most bytes of an image, before base64.
        count: Most images of one request. A question with more is not asked.
    """

    side: Annotated[int, msgspec.Meta(ge=64)] = 2048
    size: Annotated[int, msgspec.Meta(ge=10_000)] = 5_000_000
    count: Annotated[int, msgspec.Meta(ge=1)] = 20


class SentImage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is recorded of an image that was sent.

    Attributes:
        kind: Format of the bytes sent.
        size: Their number.
        width: Of the image sent, in pixels.
        height: Likewise.
        how: `as_is`: the bytes of the file; `converted`: decoded and encoded anew; `rendered`: made from a page of a
            PDF or from a slice.
        original: Width and height of what it was made from: pixels, of a PDF's page points (1/72 inch).
        sha256: Of the bytes sent.
        path: The medium, as the item names it.
        page: Page, frame or slice of the medium, from 1; 0 where it has one only.
        window: Centre and width of the grey values shown, in the units of the file (CT: HU); all below is black, all
            above white. None: shown as stored.
    """

    kind: Literal["png", "jpeg", "webp"]
    size: int
    width: int
    height: int
    how: Literal["as_is", "converted", "rendered"]
    original: tuple[int, int]
    sha256: str = ""
    path: str = ""
    page: int = 0
    window: tuple[float, float] | None = None


class Order(msgspec.Struct, frozen=True):
    """What `medbench.models.media_worker` is asked: a medium of so many bytes, the limits, seconds that it may take."""

    length: int
    limits: ImageLimits
    seconds: float


class Reply(msgspec.Struct, frozen=True):
    """Its answer: the images in order, or why there are none."""

    images: tuple[SentImage, ...] = ()
    fault: Fault | None = None


class PreparedImage(NamedTuple):
    """An image ready to send: what is recorded of it, and the file that holds its bytes."""

    sent: SentImage
    file: Path

    @property
    def reference(self) -> str:
        """What stands for its data in a request until it is sent."""
        return f"sha256:{self.sent.sha256}"


class MediaMissing(Exception):
    """A question can't be asked, since its media can't be shown.

    Attributes:
        code: `media_` and the reason, a stable code: one of `Fault`, `medbench.models.preparation.Reason` or
            `medbench.items.media.Reason`.
        detail: Which medium, and why.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def most_tokens(images: Sequence[PreparedImage]) -> int:
    """Input tokens set aside for images until the endpoint reports what they took: one per 16 x 16 pixels.

    That is the most that common encoders take (Pixtral); Qwen-VL takes one per 28 x 28, others a fixed number.
    """
    return sum(-(-image.sent.width // PATCH) * -(-image.sent.height // PATCH) for image in images)


class RequestBody:
    """The bytes of a request, its images read and encoded piece by piece as they are sent, so that none is in memory.

    Args:
        request: Compact JSON, in which `PreparedImage.reference` stands for the `url` of each image.
        images: In the order in which they stand there.

    Attributes:
        size: Bytes in all.
        changed: A file does not hold what was prepared; the rest of the body then can't be had.
    """

    def __init__(self, request: bytes, images: Sequence[PreparedImage]) -> None:
        self.changed = False
        self._parts: list[bytes | PreparedImage] = []
        self.size = 0
        for image in images:
            # In JSON a quote inside a text is escaped: this is found nowhere but where an address stands.
            before, _, request = request.partition(f'"url":"{image.reference}"'.encode())
            head = before + f'"url":"data:image/{image.sent.kind};base64,'.encode()
            self._parts += [head, image, b'"']
            self.size += len(head) + -(-image.sent.size // 3) * 4 + 1
        self._parts.append(request)
        self.size += len(request)
        self._pieces = self._encoded()
        self._left = b""

    def read(self, most: int) -> bytes | None:
        """The next bytes, at most so many; None where they can't be had."""
        try:
            piece = self._left or next(self._pieces, b"")
        except OSError:
            self.changed = True
        if self.changed:
            return None
        self._left = piece[most:]
        return piece[:most] if self._left else piece

    def _encoded(self) -> Iterator[bytes]:
        from pybase64 import b64encode  # of the extra `media`; thirty times as fast as Python's own

        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from (b64encode(piece) for piece in _pieces(part))


def _pieces(image: PreparedImage) -> Iterator[bytes]:
    """The bytes of an image.

    The file is opened for each piece: one that stayed open for each call in flight would take a second descriptor.

    Raises:
        OSError: It can't be read, or does not hold what was prepared; at the latest before the last piece.
    """
    digest, size = hashlib.sha256(), image.sent.size
    for start in range(0, size, PIECE):
        with image.file.open("rb", buffering=0) as file:
            file.seek(start)
            piece = file.read(min(PIECE, size - start))
        digest.update(piece)
        whole = len(piece) == min(PIECE, size - start)
        if not whole or (start + PIECE >= size and digest.hexdigest() != image.sent.sha256):
            raise OSError(image.file)
        yield piece
