from __future__ import annotations

import json
import subprocess
import sys

import medbench.stats


def test_public_names_are_sorted_and_there():
    names = medbench.stats.__all__
    assert names == sorted(names)
    assert all(hasattr(medbench.stats, name) for name in names)


def test_importing_loads_neither_scipy_nor_other_parts_of_medbench():
    program = "import json, sys, medbench.stats; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)
    assert "medbench.stats.intervals" in loaded
    assert not [name for name in loaded if name.split(".")[0] == "scipy"]
    assert not [name for name in loaded if name.startswith("medbench.") and not name.startswith("medbench.stats")]
