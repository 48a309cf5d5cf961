"""Items per second of a run with one picture of a megapixel per item, against a bare loop that sends the same bytes.

    python bench/media_throughput.py --items 4000 --concurrency 64 --latency-ms 50 --pairs 3 --json bench/out/media.json

As bench/throughput.py, with pictures: the endpoint has one core, each client the other. The floor is
bench/peers/bare_loop.py, which posts bodies that lie ready in its memory, pictures encoded. `medbench run` is the whole
process from start to exit: it hashes and checks every picture, decodes none that fits, encodes each as it is sent, and
keeps a record of each. Every picture is another file, so that nothing is prepared twice.

With --memory the run is repeated with more items, and the summed resident size of all its processes is given.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from _common import (
    LETTERS,
    BenchmarkError,
    Endpoint,
    Stage,
    folder_bytes,
    in_pairs,
    markdown_table,
    medbench_command,
    pinned_endpoint,
    read_items,
    report,
    require_all_asked,
    run_pinned,
    write_items,
    write_json,
)
from scale import TreeMemory

SIDE = 1024
FORMATS = {"jpeg": "image/jpeg", "png": "image/png"}


def main() -> None:
    options = _parse()
    scratch_folder = tempfile.TemporaryDirectory(prefix="medbench-media-")
    with scratch_folder as scratch, pinned_endpoint(options.latency_ms) as endpoint:
        numbers: dict[str, Any] = {}
        if options.pairs:
            numbers |= compare(Stage(Path(scratch), endpoint), options)
        if options.memory:
            numbers["memory"] = [measured(Path(scratch), endpoint, options, count) for count in options.memory]
    settings = {name: getattr(options, name) for name in ("items", "concurrency", "latency_ms", "format")}
    result = report("bench/media_throughput.py", settings, numbers)
    if options.json:
        write_json(options.json, result)
    print(table(result))


def compare(stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    """Floor and MedBench on the same pictures."""
    items = write_pictured_items(stage.scratch / "compared", options.items, options.format)
    bodies = stage.scratch / "bodies.jsonl"
    write_bodies(bodies, items, FORMATS[options.format])

    def bare() -> dict[str, Any]:
        return stage.bare_loop(bodies, options.concurrency, options.items)

    def medbench() -> dict[str, Any]:
        out = stage.fresh("run")
        command = medbench_command(items, stage.endpoint.url, options.concurrency, out)
        _, numbers = stage.run("medbench", command, options.items)
        return {**numbers, "written_mb": folder_bytes(out) / 1e6}

    medbench()  # fills the page cache
    return in_pairs(options.pairs, bare, medbench)


def measured(scratch: Path, endpoint: Endpoint, options: argparse.Namespace, count: int) -> dict[str, Any]:
    """Memory of a run over so many items; its pictures are gone afterwards."""
    items = write_pictured_items(scratch / f"items-{count}", count, options.format)
    out, folder = scratch / f"run-{count}", scratch / f"process-{count}"
    folder.mkdir()
    print(f"memory: {count} items", file=sys.stderr)
    memory = TreeMemory()
    endpoint.reset()
    command = medbench_command(items, endpoint.url, options.concurrency, out)
    finished = run_pinned(command, folder=folder, watch=memory.watch)
    require_all_asked("medbench", count, endpoint)
    shutil.rmtree(items.parent)
    return {
        "items": count,
        "seconds": finished.seconds,
        "peak_rss_of_tree_mb": memory.peak_mb,
        "peak_rss_of_largest_process_mb": finished.peak_rss_mb,
        "processes": memory.processes,
        "run_folder_mb": folder_bytes(out) / 1e6,
    }


def write_pictured_items(folder: Path, count: int, kind: str) -> Path:
    """The items of `write_items`, each with a picture of its own: the same pixels, another comment."""
    (folder / "pictures").mkdir(parents=True)
    items = folder / "items.jsonl"
    write_items(items, count)
    picture = encoded_picture(kind)
    lines = []
    for number, item in enumerate(read_items(items)):
        name = f"pictures/{number:06d}.{kind}"
        (folder / name).write_bytes(commented(picture, kind, number))
        lines.append(json.dumps({**item, "media": [name]}, ensure_ascii=False))
    items.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return items


def encoded_picture(kind: str) -> bytes:
    """A megapixel with the bytes of a photograph: smooth shapes and the noise of a sensor."""
    chance = np.random.default_rng(0)
    shapes = Image.fromarray(chance.integers(0, 256, (64, 64, 3), dtype=np.uint8)).resize((SIDE, SIDE))
    noisy = np.asarray(shapes).astype(np.float64) + chance.normal(0, 4, (SIDE, SIDE, 3))
    stream = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(stream, kind.upper(), quality=90)
    return stream.getvalue()


def commented(picture: bytes, kind: str, number: int) -> bytes:
    """The picture with a number in a comment of its format."""
    import zlib

    text = b"%08d" % number
    if kind == "jpeg":
        return picture[:2] + b"\xff\xfe" + (2 + len(text)).to_bytes(2, "big") + text + picture[2:]
    content = b"tEXt" + b"Comment\0" + text
    chunk = (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
    return picture[:33] + chunk + picture[33:]


def write_bodies(path: Path, items: Path, media_type: str) -> None:
    """The requests that MedBench makes of the items, ready to post, one a line."""
    with path.open("w", encoding="utf-8") as file:
        for item in read_items(items):
            options = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, item["options"], strict=True))
            data = base64.b64encode((items.parent / item["media"][0]).read_bytes()).decode()
            content = [
                {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}},
                {"type": "text", "text": f"{item['question']}\n{options}\n只回答选项字母。"},
            ]
            body = {"model": "bench", "messages": [{"role": "user", "content": content}], "temperature": 0}
            file.write(json.dumps(body, ensure_ascii=False) + "\n")


def table(result: Mapping[str, Any]) -> str:
    """The result as short Markdown tables."""
    lines = []
    if "bare_loop" in result:
        floor = statistics.median(run["items_per_s"] for run in result["bare_loop"])
        rows = []
        for name in ("bare_loop", "medbench"):
            rate = statistics.median(run["items_per_s"] for run in result[name])
            run = result[name][0]
            cost = [f"{run['cpu_ms_per_item']:.2f}", f"{run['peak_rss_mb']:.0f}"]
            rows.append([name, f"{rate:,.0f}", f"{rate / floor:.2f}", *cost])
        lines.append(markdown_table(["", "items/s", "of the floor", "CPU ms/item", "peak RSS MB"], rows))
        lines.append(f"\nMedBench to bare loop, median of pairs: {result['medbench_to_bare_median_ratio']:.3f}\n")
    if "memory" in result:
        rows = [
            [
                f"{run['items']:,}",
                f"{run['seconds']:.1f}",
                f"{run['peak_rss_of_tree_mb']:.0f}",
                f"{run['run_folder_mb']:.1f}",
            ]
            for run in result["memory"]
        ]
        lines.append(markdown_table(["items", "wall s", "peak RSS MB (tree)", "run folder MB"], rows))
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=4_000, help="a picture of about 0.3 MB (jpeg) or 2 MB (png) each")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--format", choices=sorted(FORMATS), default="jpeg")
    parser.add_argument("--pairs", type=int, default=3, help="runs of bare loop and medbench, alternating; 0: none")
    parser.add_argument(
        "--memory", type=int, nargs="+", default=[], help="measure the memory of runs with so many items"
    )
    parser.add_argument("--json", type=Path, help="write the result here")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as error:
        sys.exit(str(error))
