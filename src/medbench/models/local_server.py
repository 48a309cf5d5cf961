"""Serve a GGUF file on loopback until standard input closes: `python -m medbench.models.local_server FILE SLOTS`."""

from __future__ import annotations

import json
import os
import sys

CONTEXT_TOKENS_PER_SLOT = 8192
"""What the weights were trained for: some 4,000 characters of Chinese."""


def main(weights: str, slots: int) -> None:
    """Start the server, print `{"url": …}` as one line, and leave with the process that started it."""
    import xllamacpp

    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parameters = xllamacpp.CommonParams()
    parameters.model.path = weights
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel = slots
    parameters.n_ctx = CONTEXT_TOKENS_PER_SLOT * slots
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    parameters.cache_ram_mib = 0  # answered prompts do not come back
    parameters.verbosity = 0
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    try:
        sys.stdout.write(json.dumps({"url": server.listening_address}) + "\n")
        sys.stdout.flush()
        # The parent holds the other end: when it ends, however it ends, so do we.
        sys.stdin.buffer.read()
    finally:
        os._exit(0)  # an ordinary exit would wait for the server's threads, which never end


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
