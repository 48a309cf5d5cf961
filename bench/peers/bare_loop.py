"""The floor: an aiohttp loop that posts ready request bodies, reads and decodes each answer, and does nothing else.

    python bench/peers/bare_loop.py --bodies bodies.jsonl --url http://127.0.0.1:8000/v1 --concurrency 256

Prints one JSON line: requests, seconds (of the loop alone) and the letters' counts, which prove that answers were read.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp


async def post_all(bodies: list[bytes], url: str, concurrency: int) -> dict[str, object]:
    """Post every body once with `concurrency` workers."""
    letters: collections.Counter[str] = collections.Counter()
    remaining: Iterator[bytes] = iter(bodies)
    target = f"{url}/chat/completions"
    headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}

    async def work(session: aiohttp.ClientSession) -> None:
        for body in remaining:
            async with session.post(target, data=body, headers=headers) as reply:
                answer = json.loads(await reply.read())
            letters[answer["choices"][0]["message"]["content"]] += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        started = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(concurrency)))
        seconds = time.perf_counter() - started
    return {"requests": letters.total(), "seconds": seconds, "letters": dict(sorted(letters.items()))}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bodies", type=Path, required=True, help="one request body a line")
    parser.add_argument("--url", required=True, help="base URL, with /v1")
    parser.add_argument("--concurrency", type=int, default=256)
    options = parser.parse_args()
    bodies = options.bodies.read_bytes().splitlines()
    print(json.dumps(asyncio.run(post_all(bodies, options.url, options.concurrency))))


if __name__ == "__main__":
    main()
