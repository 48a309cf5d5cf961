"""The HTTP client: what it refuses, what it counts, and whom it trusts."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme

from medbench.models import http
from medbench.models.http import HttpClient, Reply, TransportError

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return head, await reader.readexactly(length)


@contextlib.asynccontextmanager
async def serving(handle: Handle, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.contextmanager
def client(url: str, host: str = "127.0.0.1", timeout_s: float = 5.0):
    made = HttpClient(url.partition(":")[0], host, url, {"X-Test": "1"}, timeout_s)
    try:
        yield made
    finally:
        made.close()


def post(handle: Handle, *bodies: bytes, pause_s: float = 0.0) -> list[Reply | TransportError]:
    async def go() -> list[Reply | TransportError]:
        replies: list[Reply | TransportError] = []
        async with serving(handle) as port:
            with client(f"http://127.0.0.1:{port}/v1") as made:
                for body in bodies:
                    try:
                        replies.append(await made.post(body))
                    except TransportError as error:
                        replies.append(error)
                    await asyncio.sleep(pause_s)
        return replies

    return asyncio.run(go())


def test_bodies_of_any_size_arrive_whole_over_one_connection():
    seen: list[tuple[bytes, bytes]] = []
    connections = 0

    async def handle(reader, writer):
        nonlocal connections
        connections += 1
        while True:
            seen.append(await read_request(reader))
            writer.write(OK)

    sent = [b"", b"x", b"\x00" * 200_000, "中文".encode() * 500_000]
    replies = post(handle, *sent)
    assert [body for _, body in seen] == sent
    assert connections == 1
    assert all(reply == Reply(200, "application/json", None, b"{}") for reply in replies)
    head = seen[0][0].lower()
    assert b"x-test: 1" in head
    assert b"expect:" not in head
    assert b"user-agent" not in head


def test_retry_after_is_handed_on_as_it_came():
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 429 Slow\r\nRETRY-after:  Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n")

    assert post(handle, b"{}")[0] == Reply(429, "", "Wed, 21 Oct 2026 07:28:00 GMT", b"")


def test_nothing_is_sent_twice_when_a_kept_connection_dies():
    """libcurl would send again by itself, and neither ledger nor budget would know."""
    requests = 0

    async def handle(reader, writer):
        nonlocal requests
        await read_request(reader)
        requests += 1
        writer.write(OK)
        await read_request(reader)  # the next request on this connection is read and never answered
        requests += 1

    first, second = post(handle, b"{}", b"{}")
    assert isinstance(first, Reply)
    assert isinstance(second, TransportError)
    assert second.code == "connection_lost"
    assert requests == 2


def test_an_idle_connection_closed_by_the_endpoint_does_not_hurt():
    requests = 0

    async def handle(reader, writer):
        nonlocal requests
        await read_request(reader)
        requests += 1
        writer.write(OK)

    # libcurl looks whether a connection lives once it was idle for a second; sooner the meter tries again.
    assert [type(reply) for reply in post(handle, b"{}", b"{}", pause_s=1.2)] == [Reply] * 2
    assert requests == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "connection_lost"),
        (b"SSH-2.0-OpenSSH_9\r\n", "connection_lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", "truncated_body"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}", "truncated_body"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 1_000_000, "connection_lost"),
    ],
)
def test_what_is_no_whole_reply_is_an_error(answer, code):
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    (reply,) = post(handle, b"{}")
    assert isinstance(reply, TransportError)
    assert reply.code == code


def test_an_endless_body_is_cut_off_early(monkeypatch):
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 100_000)
    sent = 0

    async def handle(reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
            sent += 0x8000
            await writer.drain()

    (reply,) = post(handle, b"{}")
    assert isinstance(reply, TransportError)
    assert reply.code == "body_too_large"
    assert sent < 20_000_000


def test_a_cancelled_request_leaves_the_client_usable():
    async def go() -> Reply:
        async def handle(reader, writer):
            _, body = await read_request(reader)
            if body == b"hang":
                await asyncio.sleep(30)
            writer.write(OK)

        async with serving(handle) as port:
            with client(f"http://127.0.0.1:{port}/") as made:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(made.post(b"hang"), 0.2)
                return await made.post(b"{}")

    assert asyncio.run(go()).status == 200


def test_a_timeout_has_its_own_code():
    async def go() -> TransportError:
        async def handle(reader, writer):
            await asyncio.sleep(30)

        async with serving(handle) as port:
            with client(f"http://127.0.0.1:{port}/", timeout_s=0.2) as made, pytest.raises(TransportError) as caught:
                await made.post(b"{}")
        return caught.value

    assert asyncio.run(go()).code == "timeout"


def test_only_certificates_of_trusted_authorities_are_accepted(tmp_path, monkeypatch):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def handle(reader, writer):
        await read_request(reader)
        writer.write(OK)

    async def go(host: str) -> Reply:
        async with serving(handle, context) as port:
            with client(f"https://{host}:{port}/v1", host) as made:
                return await made.post(b"{}")

    with pytest.raises(TransportError) as unknown:
        asyncio.run(go("localhost"))
    assert unknown.value.code == "bad_certificate"

    bundle = tmp_path / "hospital-ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert asyncio.run(go("localhost")).status == 200
    with pytest.raises(TransportError) as other_name:
        asyncio.run(go("127.0.0.1"))
    assert other_name.value.code == "bad_certificate"


def test_proxies_come_from_the_environment_and_never_for_loopback(monkeypatch):
    asked: list[bytes] = []

    async def proxy(reader, writer):
        head, _ = await read_request(reader)
        asked.append(head.split(b"\r\n")[0])
        writer.write(OK)

    async def go(host: str) -> Reply:
        async with serving(proxy) as port:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
            with client(f"http://{host}:{port}/v1", host) as made:
                return await made.post(b"{}")

    monkeypatch.setenv("NO_PROXY", "")
    asyncio.run(go("models.invalid"))
    assert asked[0].startswith(b"POST http://models.invalid:")
    asyncio.run(go("127.0.0.1"))
    assert asked[1].startswith(b"POST /v1 ")
    monkeypatch.setenv("NO_PROXY", "models.invalid")
    with pytest.raises(TransportError) as unresolved:
        asyncio.run(go("models.invalid"))
    assert unresolved.value.code == "no_connection"
