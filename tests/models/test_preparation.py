"""Media made ready to send: byte for byte where they fit, else made to fit, and recorded."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import signal
from typing import get_args

import msgspec
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medbench.errors import InputError
from medbench.items.media import FolderMedia
from medbench.items.media import Reason as FoundReason
from medbench.models.images import Fault, ImageLimits, MediaMissing, PreparedImage, RequestBody, SentImage, most_tokens
from medbench.models.preparation import MediaPreparer, Reason
from medbench.text import LANGUAGES, say
from support.media import dicom, encoded, noise, pdf


def prepared(folder, names, *, limits: ImageLimits | None = None, kept=None, **options) -> list[object]:
    """For each name, or list of names that one question has, its images or the code of what went wrong."""
    files = FolderMedia(folder)

    async def go() -> list[object]:
        preparer = MediaPreparer(kept or folder / "kept", files.path, limits or ImageLimits(), **options)
        questions = [[files.find(name) for name in ([each] if isinstance(each, str) else each)] for each in names]
        outcomes: list[object] = []
        try:
            for media in questions:
                preparer.begin(media)
            for media in questions:
                try:
                    outcomes.append(await preparer.images(media))
                except MediaMissing as error:
                    outcomes.append(error.code)
        finally:
            await preparer.close()
        return outcomes

    return asyncio.run(go())


def one(folder, name, **options):
    """The images of one medium, and each as a picture."""
    (images,) = prepared(folder, [name], **options)
    assert not isinstance(images, str), images
    return [image.sent for image in images], [Image.open(io.BytesIO(image.file.read_bytes())) for image in images]


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_what_fits_is_sent_byte_for_byte_whatever_its_name(tmp_path, kind, suffix):
    content = encoded(noise(64, 40), kind)
    for name in (f"a.{suffix}", "wrong.pdf", "none"):
        (tmp_path / name).write_bytes(content)
        (images,) = prepared(tmp_path, [name])
        (image,) = images
        assert image.file.read_bytes() == content
        assert image.sent == SentImage(
            kind="jpeg" if kind == "JPEG" else kind.lower(), size=len(content), width=64, height=40, how="as_is",
            original=(64, 40), sha256=hashlib.sha256(content).hexdigest(), path=name,
        )  # fmt: skip
    assert not list((tmp_path / "kept").glob("??")), "what is sent as it is needs no copy"


def test_a_longer_side_is_made_smaller_and_told(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(noise(400, 100, mode="L"), "PNG"))
    (sent,), (picture,) = one(tmp_path, "a.png", limits=ImageLimits(side=200))
    assert (sent.width, sent.height, sent.original, sent.how, sent.kind) == (200, 50, (400, 100), "converted", "png")
    assert picture.size == (200, 50)
    assert sent.window is None


def test_too_many_bytes_become_a_jpeg_and_then_fewer_pixels(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(noise(200, 200), "PNG"))
    (sent,), (picture,) = one(tmp_path, "a.png", limits=ImageLimits(size=60_000))
    assert (sent.kind, picture.format, sent.width) == ("jpeg", "JPEG", 200)
    assert sent.size <= 60_000
    (sent,), _ = one(tmp_path, "a.png", limits=ImageLimits(size=10_000))
    assert sent.size <= 10_000
    assert sent.width < 200
    assert sent.original == (200, 200)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_converted_without_loss(tmp_path, kind):
    source = noise(30, 20, mode="L")
    (tmp_path / "a").write_bytes(encoded(source, kind))
    (sent,), (picture,) = one(tmp_path, "a")
    assert (sent.how, sent.kind) == ("converted", "png")
    assert np.array_equal(np.asarray(picture.convert("L")), np.asarray(source))


def test_frames_follow_one_another(tmp_path):
    frames = [Image.new("RGB", (20, 10), (shade, 0, 0)) for shade in (10, 90, 200)]
    (tmp_path / "a.tif").write_bytes(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    sent, pictures = one(tmp_path, "a.tif")
    assert [image.page for image in sent] == [1, 2, 3]
    assert [picture.getpixel((0, 0))[0] for picture in pictures] == [10, 90, 200]
    assert prepared(tmp_path, ["a.tif"], limits=ImageLimits(count=2)) == ["media_too_many_images"]


def test_sixteen_bits_are_shown_whole_and_the_window_is_told(tmp_path):
    values = np.linspace(1000, 3000, 200 * 300).reshape(200, 300).astype(np.uint16)
    (tmp_path / "a.tif").write_bytes(encoded(Image.fromarray(values), "TIFF"))
    (sent,), (picture,) = one(tmp_path, "a.tif")
    shown = np.asarray(picture)
    assert (int(shown.min()), int(shown.max())) == (0, 255)
    assert sent.window == (2000.5, 2001.0)
    assert np.all(np.diff(shown.ravel().astype(int)) >= 0)


def test_a_picture_stands_as_its_orientation_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    picture = Image.new("RGB", (300, 100), "red")
    content = encoded(picture, "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(content)
    (sent,), (picture,) = one(tmp_path, "a.jpg", limits=ImageLimits(side=150))
    assert (picture.size, sent.how, sent.original) == ((50, 150), "converted", (100, 300))
    assert not picture.getexif()


def test_transparency_is_kept_or_put_on_white(tmp_path):
    clear = noise(300, 300, mode="RGBA")
    clear.putalpha(0)
    (tmp_path / "a.png").write_bytes(encoded(clear, "PNG"))
    _, (kept,) = one(tmp_path, "a.png", limits=ImageLimits(side=100))
    assert kept.mode == "RGBA"
    limits = ImageLimits(side=200, size=10_000)
    (sent,), (white,) = one(tmp_path, "a.png", limits=limits)
    if sent.kind == "jpeg":
        assert white.getpixel((50, 50)) == (255, 255, 255)
    else:
        assert white.getpixel((50, 50))[3] == 0


def test_pages_of_a_document_are_rendered_in_order(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf(3))
    sent, pictures = one(tmp_path, "a.pdf")
    assert [(image.page, image.how, image.original) for image in sent] == [
        (n, "rendered", (200, 100)) for n in (1, 2, 3)
    ]
    assert pictures[0].size == (556, 278), "200 dots an inch"
    assert len({image.sha256 for image in sent}) == 3, "each page says its number"
    assert all(np.asarray(picture.convert("L")).min() < 50 for picture in pictures)


def test_signs_in_a_font_of_the_library_are_shown(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf(1, text="a - b \\225 \\223c\\224"))  # bullet and quotes, by their codes
    (_,), (picture,) = one(tmp_path, "a.pdf")
    assert np.asarray(picture.convert("L")).min() < 50


def test_a_large_page_is_rendered_within_the_limit(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf(1, size=(14_400, 7_200)))
    (sent,), _ = one(tmp_path, "a.pdf", limits=ImageLimits(side=500))
    assert (sent.width, sent.height, sent.original) == (500, 250, (14_400, 7_200))


def test_a_slice_is_shown_by_its_window(tmp_path):
    hu = np.array([[-1000, 0, 40], [90, 200, 900]])
    content = dicom(hu + 1024, WindowCenter=[50, 300], WindowWidth=[100, 1500])
    (tmp_path / "a.dcm").write_bytes(content)
    (sent,), (picture,) = one(tmp_path, "a.dcm")
    assert (sent.how, sent.window, sent.original) == ("rendered", (50.0, 100.0), (3, 2))
    # PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) * 255, rounded.
    expected = np.clip(((hu - 49.5) / 99 + 0.5) * 255 + 0.5, 0, 255).astype(np.uint8)
    assert np.array_equal(np.asarray(picture), expected)
    assert expected.tolist() == [[0, 0, 103], [232, 255, 255]]


def test_a_window_may_lie_at_zero(tmp_path):
    (tmp_path / "a.dcm").write_bytes(dicom(np.array([[924, 1024, 1124]]), WindowCenter=0, WindowWidth=201))
    (sent,), (picture,) = one(tmp_path, "a.dcm")
    assert sent.window == (0.0, 201.0)
    assert np.asarray(picture).tolist() == [[1, 128, 255]]


def test_a_ct_slice_without_a_window_shows_soft_tissue(tmp_path):
    hu = np.array([[-200, 40, 280]])
    (tmp_path / "a.dcm").write_bytes(dicom(hu + 1024))
    (sent,), (picture,) = one(tmp_path, "a.dcm")
    assert sent.window == (40.0, 400.0)
    assert np.asarray(picture).tolist() == [[0, 128, 255]]
    (tmp_path / "b.dcm").write_bytes(dicom(hu + 1024, Modality="MR", PhotometricInterpretation="MONOCHROME1"))
    (sent,), (picture,) = one(tmp_path, "b.dcm")
    assert sent.window == (40.5, 481.0)
    assert np.asarray(picture).tolist() == [[255, 127, 0]]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"])
def test_compressed_slices_are_shown(tmp_path, syntax):
    """Run lengths, JPEG, JPEG 2000."""
    grey = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    dataset = pydicom.dcmread(io.BytesIO(dicom(grey, BitsAllocated=8, BitsStored=8, HighBit=7, Modality="XA")))
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.PixelData = grey.tobytes()
    if syntax.endswith("1.2.5"):
        dataset.compress(syntax)
    else:
        kind, options = ("JPEG", {}) if syntax.endswith("50") else ("JPEG2000", {"no_jp2": True})
        dataset.PixelData = pydicom.encaps.encapsulate([encoded(Image.fromarray(grey), kind, **options)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(tmp_path / "a.dcm")
    (sent,), (picture,) = one(tmp_path, "a.dcm")
    assert sent.how == "rendered"
    shown = np.asarray(picture).astype(int)
    assert np.all(np.abs(shown - grey * 255.0 / 248.0) < 8)


def test_slices_of_one_file_follow_one_another(tmp_path):
    stored = np.stack([np.full((4, 5), 1024 + shade) for shade in (-160, 40, 240)])
    (tmp_path / "a.dcm").write_bytes(dicom(stored))
    sent, pictures = one(tmp_path, "a.dcm")
    assert [image.page for image in sent] == [1, 2, 3]
    assert [int(np.asarray(picture)[0, 0]) for picture in pictures] == sorted(
        int(np.asarray(picture)[0, 0]) for picture in pictures
    )
    assert len({image.sha256 for image in sent}) == 3


def test_all_images_of_a_question_count_together(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(encoded(noise(9, 9, seed=ord(name[0])), "PNG"))
    (tmp_path / "c.pdf").write_bytes(pdf(2))
    names = [["b.png", "a.png", "b.png"], ["a.png", "c.pdf"], ["a.png", "b.png", "c.pdf"]]
    first, second, third = prepared(tmp_path, names, limits=ImageLimits(count=3))
    assert [image.sent.path for image in first] == ["b.png", "a.png", "b.png"]
    assert [(image.sent.path, image.sent.page) for image in second] == [("a.png", 0), ("c.pdf", 1), ("c.pdf", 2)]
    assert third == "media_too_many_images"


def test_what_was_prepared_is_not_prepared_again(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf(2))
    kept = tmp_path / "kept"
    first = prepared(tmp_path, ["a.pdf"], kept=kept)
    files = {path: path.stat().st_mtime_ns for path in kept.glob("??/*")}
    assert len(files) == 2
    assert prepared(tmp_path, ["a.pdf"], kept=kept) == first
    assert {path: path.stat().st_mtime_ns for path in kept.glob("??/*")} == files
    # Other limits are another preparation; a file that a power cut left short is made again.
    ((image, _),) = prepared(tmp_path, ["a.pdf"], kept=kept, limits=ImageLimits(side=100))
    assert image.sent.width == 100
    short = first[0][0].file
    whole = short.read_bytes()
    short.write_bytes(b"")
    assert prepared(tmp_path, ["a.pdf"], kept=kept) == first
    assert short.read_bytes() == whole


def test_a_file_that_changed_since_the_items_were_read_is_not_sent(tmp_path):
    (tmp_path / "a.tif").write_bytes(encoded(noise(9, 9), "TIFF"))
    files = FolderMedia(tmp_path)
    medium = files.find("a.tif")
    (tmp_path / "a.tif").write_bytes(encoded(noise(9, 9, seed=1), "TIFF"))

    async def go() -> None:
        preparer = MediaPreparer(tmp_path / "kept", files.path, ImageLimits())
        try:
            with pytest.raises(MediaMissing) as caught:
                await preparer.images([medium])
            assert caught.value.code == "media_changed"
        finally:
            await preparer.close()

    asyncio.run(go())


def test_a_process_that_dies_is_replaced(tmp_path):
    (tmp_path / "a.tif").write_bytes(encoded(noise(9, 9), "TIFF"))
    (tmp_path / "b.tif").write_bytes(encoded(noise(9, 9, seed=1), "TIFF"))
    files = FolderMedia(tmp_path)

    async def go() -> None:
        preparer = MediaPreparer(tmp_path / "kept", files.path, ImageLimits())
        try:
            await preparer.images([files.find("a.tif")])
            for worker in preparer._workers:
                if worker._process:
                    os.kill(worker._process.pid, signal.SIGKILL)
                    worker._process.wait()
            await preparer.images([files.find("b.tif")])
        finally:
            await preparer.close()

    asyncio.run(go())


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("medbench.models.preparation.util.find_spec", lambda name: None if name == "PIL" else name)
    (tmp_path / "a.tif").write_bytes(encoded(noise(9, 9), "TIFF"))
    with pytest.raises(InputError, match=r"pillow.*medbench\[media\]"):
        prepared(tmp_path, ["a.tif"])


def image_of(path, content: bytes, width: int = 9, height: int = 9) -> PreparedImage:
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return PreparedImage(SentImage("png", len(content), width, height, "as_is", (width, height), digest), path)


def read_all(body: RequestBody, step: int) -> bytes | None:
    pieces = []
    while piece := body.read(step):
        assert len(piece) <= step
        pieces.append(piece)
    return None if piece is None else b"".join(pieces)


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 200_000), min_size=1, max_size=3),
    step=st.integers(100, 70_000),
    text=st.text(max_size=40),
)
def test_a_request_is_read_as_if_its_images_stood_in_it(tmp_path_factory, sizes, step, text):
    folder = tmp_path_factory.mktemp("body")
    images = [image_of(folder / str(n), os.urandom(size)) for n, size in enumerate(sizes)]
    urls = [{"type": "image_url", "image_url": {"url": image.reference}} for image in images]
    # A text may hold what looks like an address, and even be one.
    texts = [{"text": images[0].reference}, *urls, {"text": text + f'"url":"{images[0].reference}"'}]
    request = msgspec.json.encode({"m": texts})
    body = RequestBody(request, images)
    whole = read_all(body, step)
    assert whole is not None
    assert len(whole) == body.size
    first, *sent = json.loads(whole)["m"]
    assert first["text"] == images[0].reference
    for image, part in zip(images, sent, strict=False):
        assert part["image_url"]["url"].startswith("data:image/png;base64,")
        assert base64.b64decode(part["image_url"]["url"].partition(",")[2]) == image.file.read_bytes()
    assert sent[-1]["text"] == text + f'"url":"{images[0].reference}"'


@pytest.mark.parametrize("change", [b"x" * 100_000, b"short", None], ids=["other", "short", "gone"])
def test_a_request_whose_image_changed_ends_before_it_is_whole(tmp_path, change):
    image = image_of(tmp_path / "a", os.urandom(100_000))
    request = msgspec.json.encode({"url": image.reference})
    if change is None:
        image.file.unlink()
    else:
        image.file.write_bytes(change)
    body = RequestBody(request, [image])
    assert read_all(body, 65_536) is None
    assert body.changed


def test_tokens_set_aside_follow_the_pixels(tmp_path):
    assert most_tokens([]) == 0
    assert most_tokens([image_of(tmp_path / "a", b"x", 1024, 1024)]) == 4096
    assert most_tokens([image_of(tmp_path / "a", b"x", 17, 16), image_of(tmp_path / "b", b"x", 1, 1)]) == 3


def test_every_reason_has_words_in_the_report():
    reasons = {*get_args(Fault), *get_args(Reason), *get_args(FoundReason)}
    for language in LANGUAGES:
        words = [say(f"report.media_reason_{reason}", language=language) for reason in reasons]
        assert len(set(words)) == len(reasons)
