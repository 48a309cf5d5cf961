"""Media made ready to send: decoded in worker processes, ahead of the asking, and kept for the next time."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from medbench.errors import InputError, Problem, WorkError
from medbench.items.media import kind_of
from medbench.items.model import Media
from medbench.models import locked_process
from medbench.models.image_header import image_header
from medbench.models.images import (
    Fault,
    ImageLimits,
    MediaMissing,
    Order,
    PreparedImage,
    Reply,
    SentImage,
)
from medbench.store.sqlite import database_errors, open_database
from medbench.text import say

if TYPE_CHECKING:
    import sqlite3

LARGEST_MEDIUM = 128 * 1024**2
"""Bytes of a file that is decoded."""
TIME_LIMIT_S = 60.0
MOST_PROCESSES = 4
KEPT = 1024
"""Outcomes kept in memory, a few hundred bytes each; more than are ever looked ahead."""
RECIPE = 1
"""Raised when the same medium under the same limits gives other images, so that nothing old is used for it."""
MIGRATIONS = ("CREATE TABLE prepared (key BLOB PRIMARY KEY, images BLOB NOT NULL) WITHOUT ROWID;",)
LONGEST_DETAIL = 300
LONGEST_REPLY = 1024**2

Reason = Literal[
    "absent", "unreadable", "too_large", "changed", "too_slow", "crashed", "too_many_images", "text_only", "volume"
]
"""Why a medium can't be shown, besides what `Fault` and `medbench.items.media.Reason` list."""
_MODULES = {"PIL": "pillow", "pybase64": "pybase64", "pydicom": "pydicom", "pypdfium2": "pypdfium2"}

_decode_reply = msgspec.json.Decoder(Reply).decode
_decode_images = msgspec.json.Decoder(tuple[SentImage, ...]).decode


def require_libraries() -> None:
    """Check that media can be made ready here.

    Raises:
        InputError: The extra `media` is not installed.
    """
    missing = [package for module, package in _MODULES.items() if util.find_spec(module) is None]
    if missing:
        raise InputError(Problem(message=say("models.media_not_installed", packages=", ".join(missing))))


def _missing(reasons: Sequence[tuple[Media, str]]) -> MediaMissing:
    """The error for media that can't be shown, each with its reason; its code is that of the first."""
    detail = "; ".join(f"{medium.path}: {reason}" for medium, reason in reasons)
    return MediaMissing(f"media_{reasons[0][1]}", detail[:LONGEST_DETAIL])


Outcome = tuple[PreparedImage, ...] | str
"""The images of a medium, or the reason why there are none."""


class MediaPreparer:
    """Makes the media of a run ready.

    A picture that fits is ready when a look at it says that it is whole. All else is made into images, which are kept
    in a folder by content: `prepared.sqlite` says which images a medium gave under which limits, and `ab/abcd…` holds
    each by its SHA-256. What failed is not kept.

    Args:
        folder: That folder; made when it is first needed.
        find: The file of a medium.
        limits: The endpoint's.
        time_limit_s: Longest time for one medium.
    """

    def __init__(
        self,
        folder: Path,
        find: Callable[[Media], Path | None],
        limits: ImageLimits,
        *,
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        self._folder = folder
        self._find = find
        self._limits = limits
        self._time_limit_s = time_limit_s
        self._settings = msgspec.json.encode([RECIPE, limits], order="deterministic")
        self._outcomes: dict[str, Outcome | asyncio.Task[Outcome]] = {}
        self._finding = threading.Lock()  # a source unpacks an archive's files one after the other
        self._records: sqlite3.Connection | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._idle: asyncio.Queue[MediaWorker] = asyncio.Queue()
        self._workers: list[MediaWorker] = []

    def begin(self, media: Sequence[Media]) -> None:
        """Begin to make media ready that will be asked for soon; to be called on the event loop."""
        if all(medium.sha256 for medium in media):
            for medium in media:
                self._outcome(medium)

    async def images(self, media: Sequence[Media]) -> tuple[PreparedImage, ...]:
        """The images of a question's media, in order.

        Raises:
            MediaMissing: One of them can't be shown.
            InputError: The extra `media` is not installed.
            WorkError: The folder can't be written.
        """
        if missing := [(medium, medium.missing or "absent") for medium in media if not medium.sha256]:
            raise _missing(missing)
        images: list[PreparedImage] = []
        faults: list[tuple[Media, str]] = []
        for medium in media:
            outcome = self._outcome(medium)
            if isinstance(outcome, asyncio.Task):
                outcome = await asyncio.shield(outcome)
            if isinstance(outcome, str):
                faults.append((medium, outcome))
                continue
            images += (image._replace(sent=msgspec.structs.replace(image.sent, path=medium.path)) for image in outcome)
        if not faults and len(images) > self._limits.count:
            faults = [(media[-1], "too_many_images")]
        if faults:
            raise _missing(faults)
        return tuple(images)

    async def close(self) -> None:
        """End the processes."""
        tasks = [outcome for outcome in self._outcomes.values() if isinstance(outcome, asyncio.Task)]
        for task in tasks:
            task.cancel()
        for worker in self._workers:
            worker.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._threads:
            await asyncio.to_thread(self._threads.shutdown)
        for worker in self._workers:
            worker.end()
        if self._records:
            self._records.close()

    def _outcome(self, medium: Media) -> Outcome | asyncio.Task[Outcome]:
        outcome = self._outcomes.get(medium.sha256)
        if outcome is None:
            outcome = self._at_once(medium) or asyncio.create_task(self._prepare(medium))
            self._outcomes[medium.sha256] = outcome
            if len(self._outcomes) > KEPT:
                oldest = self._outcomes[first := next(iter(self._outcomes))]
                if not isinstance(oldest, asyncio.Task) or oldest.done():
                    del self._outcomes[first]
        return outcome

    def _at_once(self, medium: Media) -> Outcome | None:
        """A picture that is sent as it is; None where there is more to do.

        Its file was read when the items were, so that reading it takes the time that a thread takes to be woken. Its
        hash is compared as it is sent.
        """
        try:
            with self._finding:
                source = self._find(medium)
            if source is None:
                return "absent"
            size = source.stat().st_size
            if size > LARGEST_MEDIUM:
                return "too_large"
            header = image_header(source.read_bytes()) if size <= self._limits.size else None
        except FileNotFoundError:
            return "absent"
        except (OSError, InputError):
            return "unreadable"
        if header is None or not header.plain or max(header.width, header.height) > self._limits.side:
            if not self._workers:
                self._start()
            return None
        sides = header.width, header.height
        sent = SentImage(header.kind, size, *sides, how="as_is", original=sides, sha256=medium.sha256)
        return (PreparedImage(sent, source),)

    def _start(self) -> None:
        require_libraries()
        path = self._folder / "prepared.sqlite"
        with database_errors(path):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._records = open_database(path, migrations=MIGRATIONS)
        self._workers = [MediaWorker() for _ in range(min(MOST_PROCESSES, _processors()))]
        self._threads = ThreadPoolExecutor(len(self._workers), thread_name_prefix="media")
        for worker in self._workers:
            self._idle.put_nowait(worker)

    async def _prepare(self, medium: Media) -> Outcome:
        worker = await self._idle.get()
        try:
            key = hashlib.sha256(self._settings + medium.sha256.encode()).digest()
            if known := self._known(key):
                return known
            found = await asyncio.get_running_loop().run_in_executor(self._threads, self._make, worker, medium)
            if not isinstance(found, str):
                self._keep(key, found)
            return found
        finally:
            self._idle.put_nowait(worker)

    def _known(self, key: bytes) -> tuple[PreparedImage, ...]:
        """Images that were kept, all of them or none."""
        assert self._records
        with database_errors(self._folder):
            row = self._records.execute("SELECT images FROM prepared WHERE key = ?", (key,)).fetchone()
        images = [PreparedImage(sent, self._place(sent)) for sent in _decode_images(row[0])] if row else []
        return tuple(images) if all(_holds(image.file, image.sent.size) for image in images) else ()

    def _keep(self, key: bytes, images: tuple[PreparedImage, ...]) -> None:
        assert self._records
        content = msgspec.json.encode([image.sent for image in images])
        with database_errors(self._folder):
            self._records.execute("INSERT OR REPLACE INTO prepared VALUES (?, ?)", (key, content))

    def _make(self, worker: MediaWorker, medium: Media) -> Outcome:
        """In a thread: have a medium decoded, and write what came of it."""
        try:
            with self._finding:
                source = self._find(medium)
            data = source.read_bytes() if source else b""
        except (OSError, InputError):
            return "unreadable"
        if hashlib.sha256(data).hexdigest() != medium.sha256:
            return "changed"
        made = worker.make(data, self._limits, self._time_limit_s)
        if isinstance(made, str):
            return made
        images = []
        for sent, content in made:
            # Hashed here: the process that decodes is not to be trusted with the name of a file.
            sent = msgspec.structs.replace(sent, sha256=hashlib.sha256(content).hexdigest())
            images.append(PreparedImage(sent, self._place(sent)))
            self._write(images[-1], content)
        return tuple(images)

    def _place(self, image: SentImage) -> Path:
        return self._folder / image.sha256[:2] / image.sha256

    def _write(self, image: PreparedImage, content: bytes) -> None:
        """Write an image without waiting for the disk: one that a power cut left short is made again."""
        place = image.file
        if _holds(place, len(content)):
            return
        try:
            place.parent.mkdir(exist_ok=True)
            temporary = place.with_name(f".{place.name}.{os.getpid()}.{threading.get_ident()}")
            temporary.write_bytes(content)
            temporary.replace(place)
        except OSError as error:
            raise WorkError(say("store.unwritable", path=place, error=error.strerror or error)) from error


def _holds(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class MediaWorker:
    """The process that decodes (`medbench.models.media_worker`), one medium at a time; replaced when it ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._slices = False  # whether it has what DICOM takes, which is most of the time that its start takes
        self._closed = False

    def make(
        self, data: bytes, limits: ImageLimits, seconds: float
    ) -> list[tuple[SentImage, bytes]] | Fault | Literal["too_slow", "crashed"]:
        """Have a medium decoded and encoded anew: the images and their bytes, or why there are none."""
        slices = kind_of(data[:256]) == "dcm"
        if self._process is not None and (self._process.poll() is not None or (slices and not self._slices)):
            self.end()
        if self._process is None:
            arguments = ["dicom"] if slices else []
            self._process = locked_process.start("medbench.models.media_worker", *arguments)
            self._slices = slices
        process = self._process
        assert process.stdin
        assert process.stdout
        try:
            if self._closed:
                raise EOFError
            process.stdin.write(msgspec.json.encode(Order(len(data), limits, seconds)) + b"\n")
            process.stdin.write(data)
            process.stdin.flush()
            reply = _decode_reply(process.stdout.readline(LONGEST_REPLY))
            made = []
            for image in reply.images:
                length = min(image.size, limits.size)
                content = process.stdout.read(length)
                if len(content) < length or image.how == "as_is":
                    raise EOFError  # no reply of ours: something else writes in its name
                made.append((image, content))
        except (OSError, EOFError, msgspec.DecodeError):
            return "too_slow" if self.end() == -signal.SIGALRM else "crashed"
        if reply.fault == "too_much_memory":
            self.end()  # what a library left half done when it ran out is not worth finding out
        return reply.fault or made

    def close(self) -> None:
        """End the process under whoever waits for it, and start no other."""
        self._closed = True
        if self._process:
            self._process.kill()

    def end(self) -> int:
        """End the process and let go of its pipes; its exit status."""
        process, self._process = self._process, None
        return 0 if process is None else locked_process.end(process)
