"""How far the executable checks of the agent track reach on real data: `python bench/agent_checks.py SHARED_DATA`.

SHARED_DATA is a folder with `medbench_v4_release` (the official release), `agent/bfcl` (gorilla's BFCL v4) and
`agent/ehrsql_2024`. Prints one JSON object; takes a few minutes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import _common  # noqa: F401 - makes `support` importable
from support.agent_measures import bfcl_agreement, ehrsql_agreement, release_coverage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with medbench_v4_release and agent")
    data = parser.parse_args().data
    found = {
        "release": release_coverage(data / "medbench_v4_release" / "MedBench_Agent" / "TEST"),
        "bfcl": bfcl_agreement(data / "agent" / "bfcl"),
        "ehrsql": ehrsql_agreement(data / "agent" / "ehrsql_2024"),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
