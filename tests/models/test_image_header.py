"""What an image file says of itself, compared with what its decoder says."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medbench.models.image_header import LARGEST_ASIDE, ImageHeader, image_header
from support.media import chunk, encoded, noise

WHOLE = {
    ("PNG", "RGB", ()): "png",
    ("PNG", "L", ()): "png",
    ("PNG", "RGBA", ()): "png",
    ("JPEG", "RGB", ()): "jpeg",
    ("JPEG", "L", ()): "jpeg",
    ("JPEG", "RGB", ("progressive",)): "jpeg",
    ("WEBP", "RGB", ()): "webp",
    ("WEBP", "RGB", ("lossless",)): "webp",
    ("WEBP", "RGBA", ()): "webp",
}


@settings(deadline=None)
@given(
    width=st.integers(1, 300), height=st.integers(1, 300), form=st.sampled_from(sorted(WHOLE)), place=st.floats(0, 1)
)
def test_size_and_format_are_read_and_no_part_may_be_missing(width, height, form, place):
    kind, mode, options = form
    content = encoded(noise(width, height, mode=mode), kind, **dict.fromkeys(options, True))
    assert image_header(content) == ImageHeader(WHOLE[form], width, height)
    assert image_header(content[: int(place * (len(content) - 1))]) is None


@given(st.binary(max_size=400), st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x10\0\0\0WEBP", b""]))
def test_noise_behind_a_signature_is_no_image(noise_, signature):
    found = image_header(signature + noise_)
    assert found is None or (found.width > 0 and found.height > 0 and found.kind != "png")


@given(st.integers(8, 10_000), st.integers(0, 7))
def test_a_wrong_bit_in_a_png_is_seen(place, bit):
    content = bytearray(encoded(noise(40, 40), "PNG"))
    content[place % len(content)] ^= 1 << bit
    assert image_header(bytes(content)) is None


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_several_frames_are_not_plain(kind):
    frames = [Image.new("RGB", (20, 10), (shade, 0, 0)) for shade in (10, 90)]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert image_header(content) == ImageHeader(kind.lower(), 20, 10, plain=False)


def test_a_large_text_beside_the_picture_is_not_plain():
    content = encoded(noise(9, 9), "PNG")
    for size, plain in ((100, True), (LARGEST_ASIDE + 1, False)):
        text = chunk(b"zTXt", b"Comment\0\0".ljust(size, b"x"))
        assert image_header(content[:33] + text + content[33:]) == ImageHeader("png", 9, 9, plain)


def test_a_png_of_countless_chunks_is_given_up():
    content = encoded(noise(9, 9), "PNG")
    assert image_header(content[:33] + chunk(b"tEXt", b"") * 60_000 + content[33:]) is None


def test_a_jpeg_with_a_picture_inside_its_head_still_needs_an_end_of_its_own():
    preview = encoded(noise(20, 20), "JPEG")
    content = encoded(noise(200, 100), "JPEG", exif=b"Exif\0\0" + preview)
    assert image_header(content) == ImageHeader("jpeg", 200, 100)
    assert image_header(content[:-2]) is None


def test_a_png_without_pixels_is_none():
    header = struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)
    bare = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")
    assert image_header(bare) is None
