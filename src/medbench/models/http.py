"""HTTP for model endpoints: libcurl's multi interface on asyncio's event loop.

One way to send is all it knows: a POST whose reply is read whole, within limits of size and time. It follows no
redirect, keeps no cookie, and repeats nothing: every send is one that the caller counts.
"""

from __future__ import annotations

import asyncio
import selectors
import ssl
from collections.abc import Mapping
from functools import partial
from io import BytesIO
from typing import Any, NamedTuple, Protocol, cast
from urllib.request import getproxies, proxy_bypass

import pycurl

MAX_BODY_BYTES = 16 * 1024 * 1024
CONNECT_TIMEOUT_S = 30.0
UPLOAD_BYTES = 512 * 1024
"""Taken from a body at a time. With the usual 64 KiB a megapixel goes out in six pieces, each a turn of the loop."""
MOST_IDLE_CONNECTIONS = 1024
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_CODES: Mapping[int, str] = {
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_COULDNT_RESOLVE_PROXY: "no_connection",
    pycurl.E_COULDNT_RESOLVE_HOST: "no_connection",
    pycurl.E_COULDNT_CONNECT: "no_connection",
    pycurl.E_SSL_CONNECT_ERROR: "no_connection",
    pycurl.E_PEER_FAILED_VERIFICATION: "bad_certificate",
    pycurl.E_SSL_CACERT_BADFILE: "bad_certificate",
    pycurl.E_PARTIAL_FILE: "truncated_body",
    pycurl.E_WRITE_ERROR: "body_too_large",
}
_EVENTS: Mapping[int, int] = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}


class Reply(NamedTuple):
    """What an endpoint answered."""

    status: int
    content_type: str
    retry_after: str | None
    body: bytes


class Body(Protocol):
    """A request that is read as it goes out.

    Attributes:
        size: Bytes in all.
    """

    size: int

    def read(self, most: int, /) -> bytes | None:
        """The next bytes, at most so many; None where they can't be had, which ends the sending."""


class TransportError(Exception):
    """No reply came, or not a whole one.

    Attributes:
        code: `timeout`, `no_connection`, `bad_certificate`, `truncated_body`, `body_too_large` or `connection_lost`.
        detail: What libcurl said.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class HttpClient:
    """Sends POST requests to one address over connections that stay open. To be used on one event loop.

    Proxies come from the environment as everywhere in Python (`HTTPS_PROXY`, `NO_PROXY`, …), but never for loopback;
    certificates are checked against the system's, or those of `SSL_CERT_FILE`.

    Args:
        scheme: `http` or `https`.
        host: Of the address.
        url: The whole address.
        headers: Sent with each request.
        timeout_s: Whole time of one request.
    """

    def __init__(self, scheme: str, host: str, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        direct = host in LOOPBACK or bool(proxy_bypass(host))
        proxies = {} if direct else getproxies()
        paths = ssl.get_default_verify_paths()
        self._options: list[tuple[int, object]] = [
            (pycurl.URL, url),
            (pycurl.POST, 1),
            # Without `Expect:` libcurl asks for leave before it sends a large body, which some servers never give.
            (pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()] + ["Expect:", "User-Agent:"]),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.PROXY, proxies.get(scheme, proxies.get("all", ""))),
            (pycurl.TIMEOUT_MS, max(1, round(timeout_s * 1000))),
            (pycurl.CONNECTTIMEOUT_MS, max(1, round(min(CONNECT_TIMEOUT_S, timeout_s) * 1000))),
            (pycurl.NOSIGNAL, 1),
            (pycurl.UPLOAD_BUFFERSIZE, UPLOAD_BYTES),
        ]
        self._options += [
            (option, path)
            for option, path in ((pycurl.CAINFO, paths.cafile), (pycurl.CAPATH, paths.capath))
            if path is not None
        ]
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, MOST_IDLE_CONNECTIONS)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._timer: asyncio.Handle | None = None
        self._free: list[_Transfer] = []
        self._running: dict[pycurl.Curl, _Transfer] = {}
        # A selector of our own, watched by the loop as one descriptor: libcurl begins and ends to watch a socket with
        # every request, which costs more through the loop itself.
        self._sockets = selectors.DefaultSelector()
        self._loop.add_reader(cast(Any, self._sockets).fileno(), self._ready)

    async def post(self, body: bytes | Body) -> Reply:
        """Send one request once.

        Raises:
            TransportError: There is no whole reply.
        """
        transfer = self._free.pop() if self._free else _Transfer(self._options)
        done = transfer.begin(self._loop, body)
        self._running[transfer.curl] = transfer
        self._multi.add_handle(transfer.curl)
        try:
            await done
            return transfer.reply()
        finally:
            if self._running.pop(transfer.curl, None) is not None:  # cancelled
                self._multi.remove_handle(transfer.curl)
            self._free.append(transfer)

    def close(self) -> None:
        """Close all connections."""
        if self._timer:
            self._timer.cancel()
        self._loop.remove_reader(cast(Any, self._sockets).fileno())
        self._sockets.close()
        self._multi.close()

    def _watch_socket(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._sockets.unregister(descriptor)
        elif descriptor in self._sockets.get_map():
            self._sockets.modify(descriptor, _EVENTS[what])
        else:
            self._sockets.register(descriptor, _EVENTS[what])

    def _set_timer(self, milliseconds: int) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if milliseconds == 0:
            self._timer = self._loop.call_soon(self._time_out)
        elif milliseconds > 0:
            self._timer = self._loop.call_later(milliseconds / 1000.0, self._time_out)

    def _time_out(self) -> None:
        self._timer = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()

    def _ready(self) -> None:
        for key, events in self._sockets.select(0):
            # EVENT_READ and EVENT_WRITE have the values of libcurl's CSELECT_IN and CSELECT_OUT.
            self._multi.socket_action(key.fd, events)
        self._collect()

    def _collect(self) -> None:
        left = 1
        while left:
            left, done, failed = self._multi.info_read()
            for curl in done:
                self._end(curl, None)
            for curl, code, message in failed:
                self._end(curl, TransportError(_CODES.get(code, "connection_lost"), message))

    def _end(self, curl: pycurl.Curl, error: TransportError | None) -> None:
        self._multi.remove_handle(curl)
        self._running.pop(curl).end(error)


class _Transfer:
    """One request at a time on one easy handle, which is used again for the next."""

    def __init__(self, options: list[tuple[int, object]]) -> None:
        self.curl = pycurl.Curl()
        for option, value in options:
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._take_header)

    def begin(self, loop: asyncio.AbstractEventLoop, body: bytes | Body) -> asyncio.Future[None]:
        # A function that can't be wound back keeps libcurl from sending a body again over another connection.
        if isinstance(body, bytes):
            self.curl.setopt(pycurl.READFUNCTION, BytesIO(body).read)
            self.curl.setopt(pycurl.POSTFIELDSIZE_LARGE, len(body))
        else:
            self.curl.setopt(pycurl.READFUNCTION, partial(_give, body))
            self.curl.setopt(pycurl.POSTFIELDSIZE_LARGE, body.size)
        self._pieces: list[bytes] = []
        self._size = 0
        self._retry_after: str | None = None
        self._done: asyncio.Future[None] = loop.create_future()
        return self._done

    def end(self, error: TransportError | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)

    def reply(self) -> Reply:
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        kind = self.curl.getinfo(pycurl.CONTENT_TYPE) or ""
        return Reply(status, kind, self._retry_after, b"".join(self._pieces))

    def _take_body(self, piece: bytes) -> int | None:
        self._size += len(piece)
        if self._size > MAX_BODY_BYTES:
            return 0
        self._pieces.append(piece)
        return None

    def _take_header(self, line: bytes) -> None:
        if line[:12].lower() == b"retry-after:":
            self._retry_after = line[12:].strip().decode("latin-1")


def _give(body: Body, most: int) -> bytes | int:
    piece = body.read(most)
    return pycurl.READFUNC_ABORT if piece is None else piece
