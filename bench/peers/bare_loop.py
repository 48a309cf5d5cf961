"""The floor: an aiohttp loop that posts ready request bodies, reads and decodes each answer, and does nothing else.

    python bench/peers/bare_loop.py --bodies bodies.jsonl --url http://127.0.0.1:8000/v1 --concurrency 256

With `--chain 2` every two bodies are posted one after the other, as an item's answer and its judgement are.
Prints one JSON line: requests, seconds (of the loop alone) and counts of the answers' first characters, which prove
that they were read.
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


async def post_all(bodies: list[bytes], url: str, concurrency: int, chain: int) -> dict[str, object]:
    """Post every body once with `concurrency` workers, each `chain` bodies in a row one after the other."""
    letters: collections.Counter[str] = collections.Counter()
    remaining: Iterator[list[bytes]] = (bodies[start : start + chain] for start in range(0, len(bodies), chain))
    target = f"{url}/chat/completions"
    headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}

    async def work(session: aiohttp.ClientSession) -> None:
        for several in remaining:
            for body in several:
                async with session.post(target, data=body, headers=headers) as reply:
                    answer = json.loads(await reply.read())
                letters[answer["choices"][0]["message"]["content"][0]] += 1

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
    parser.add_argument("--chain", type=int, default=1, help="bodies that follow one another")
    options = parser.parse_args()
    bodies = options.bodies.read_bytes().splitlines()
    print(json.dumps(asyncio.run(post_all(bodies, options.url, options.concurrency, options.chain))))


if __name__ == "__main__":
    main()
