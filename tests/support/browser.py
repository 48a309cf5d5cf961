"""A Chromium cut off from every network, driven as a reader does: keys and clicks."""

from __future__ import annotations

import asyncio
import os
import shutil
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"),
)


def find_chromium() -> str:
    """Its path; where there is none the test is skipped, on CI it fails."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    reason = "no Chromium here: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Page:
    """A page that is open, by the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._count = 0

    async def send(self, method: str, **parameters: object) -> dict:
        self._count += 1
        await self._socket.send_json({"id": self._count, "method": method, "params": parameters})
        while (answer := await self._socket.receive_json()).get("id") != self._count:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    async def value(self, expression: str) -> object:
        """What a JavaScript expression gives."""
        found = await self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def click(self, element: str) -> None:
        """Click the middle of the element that a JavaScript expression gives."""
        await self.value(f"({element}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        x, y, width, height = await self.value(
            f"Object.values(({element}).getBoundingClientRect().toJSON()).slice(0, 4)"
        )
        middle = {"x": x + width / 2, "y": y + height / 2}
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, **middle, button="left", clickCount=1)

    async def press(self, key: str, code: int) -> None:
        """Press a key; `code` is its Windows virtual key code."""
        for kind in ("rawKeyDown", "keyUp"):
            await self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    async def picture(self, *, width: int, height: int) -> bytes:
        """A screenshot as PNG, in a window of that size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.send("Emulation.setDeviceMetricsOverride", **size)
        return b64decode((await self.send("Page.captureScreenshot"))["data"])


async def until(ready: Callable[[], Awaitable[bool]]) -> None:
    """Wait, a minute at most."""
    async with asyncio.timeout(60):
        while not await ready():  # noqa: ASYNC110 - another process has no event to wait for
            await asyncio.sleep(0.1)


@asynccontextmanager
async def open_page(chromium: str, profile: Path, address: str) -> AsyncIterator[Page]:
    """Open a page; the browser ends with the block."""
    process = await asyncio.create_subprocess_exec(
        *(chromium, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    port_file = profile / "DevToolsActivePort"

    async def listening() -> bool:
        return port_file.is_file() and "\n" in port_file.read_text()

    async def loaded() -> bool:
        return await page.value("document.readyState + location.href") == f"complete{address}"

    try:
        await until(listening)
        host = f"http://127.0.0.1:{port_file.read_text().split()[0]}"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{host}/json") as answer:
                (target,) = [each for each in await answer.json() if each["type"] == "page"]
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                await page.send("Page.navigate", url=address)
                await until(loaded)
                yield page
    finally:
        process.terminate()
        await process.wait()
