"""What an image file says of itself, and whether it is whole: read without decoding it.

A picture that fits is sent as it is, so nothing of it needs to be decoded here; Python reads its structure, which no
crafted file can break. A whole decoding would take thirty times as long and find little beside: a PNG's chunks have
checksums, and viewers show a JPEG with wrong bits as well as they can.
"""

from __future__ import annotations

import zlib
from typing import Literal, NamedTuple

MOST_CHUNKS = 50_000
"""Of a PNG; encoders write one per 8 KiB at least."""
LARGEST_ASIDE = 64 * 1024
"""Bytes of a compressed chunk of a PNG that is no pixels; a thousand times as many may come out of it."""


class ImageHeader(NamedTuple):
    """Format and size in pixels; `plain`: one frame, and nothing large beside it."""

    kind: Literal["png", "jpeg", "webp"]
    width: int
    height: int
    plain: bool = True


def image_header(data: bytes) -> ImageHeader | None:
    """The header of a whole PNG, JPEG or WebP; None for anything else, or where a part is missing or damaged."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except IndexError:
        pass  # it ended before its structure did
    return None


def _png(data: bytes) -> ImageHeader | None:
    """Every chunk up to the last one, with its checksum (PNG specification, 5)."""
    view = memoryview(data)
    place = 8
    plain, pixels = True, False
    for number in range(MOST_CHUNKS):
        length = int.from_bytes(view[place : place + 4], "big")
        name = bytes(view[place + 4 : place + 8])
        end = place + 8 + length
        if len(data) < end + 4 or zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return None
        if (number == 0) != (name == b"IHDR"):
            return None
        if name == b"acTL" or (name in (b"zTXt", b"iTXt", b"iCCP") and length > LARGEST_ASIDE):
            plain = False
        pixels |= name == b"IDAT"
        if name == b"IEND":
            width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
            return ImageHeader("png", width, height, plain) if width and height and pixels else None
        place = end + 4
    return None


def _jpeg(data: bytes) -> ImageHeader | None:
    """The segments up to the first scan (ITU T.81, B.1), and the mark of the end somewhere behind."""
    place, width, height = 2, 0, 0
    while data[place] == 0xFF:
        while data[place] == 0xFF:
            place += 1
        marker = data[place]
        place += 1
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # stands alone
            continue
        if marker in (0x00, 0xD8, 0xD9):
            return None
        length = int.from_bytes(data[place : place + 2], "big")
        if length < 2:
            return None
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(data[place + at : place + at + 2], "big") for at in (3, 5))
        place += length
        if marker == 0xDA:
            ended = data.rfind(b"\xff\xd9", place) >= 0
            return ImageHeader("jpeg", width, height) if ended and width and height else None
    return None


def _webp(data: bytes) -> ImageHeader | None:
    """The first chunk (RFC 9649); nothing else in the file has a checksum."""
    if len(data) < int.from_bytes(data[4:8], "little") + 8:
        return None
    name, content = data[12:16], data[20:30]
    if name == b"VP8X":
        width, height = (1 + int.from_bytes(content[at : at + 3], "little") for at in (4, 7))
        return ImageHeader("webp", width, height, not content[0] & 0x02)
    if name == b"VP8L" and content[0] == 0x2F:
        sides = int.from_bytes(content[1:5], "little")
        return ImageHeader("webp", 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF))
    if name == b"VP8 " and content[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return ImageHeader("webp", width, height) if width and height else None
    return None
