"""Processes that handle what comes from anywhere, with nothing in reach that they don't need."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

# Nothing of the rest of the environment is such a process's business, keys of endpoints least of all.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


def lock(memory: int) -> None:
    """Take away from this process what it does not need once its libraries are loaded: files, sockets, core dumps.

    Args:
        memory: Bytes of address space that are left to it.
    """
    import resource  # not on every system that starts such a process

    with contextlib.suppress(ValueError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))


def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a module of ours in a process that is asked and answers through pipes."""
    # -P: the current folder is no place to import from.
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # errors quote what they are about
        env={
            **{name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            "OPENBLAS_NUM_THREADS": "1",  # each thread of NumPy's would take address space
        },
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> int:
    """End a process and let go of its pipes; its exit status."""
    assert process.stdin
    assert process.stdout
    with contextlib.suppress(OSError):  # what it did not take in is lost with it
        process.stdin.close()
    try:
        status = process.wait(1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    process.stdout.close()
    return status
