"""`agcrc evaluate` tells a person its figures in words."""

from __future__ import annotations

import numpy as np
from typer.testing import CliRunner

from agcrc.cli.main import app
from agcrc.volumes import Grid, write_volume


def test_figures_are_told_in_words(tmp_path):
    grid = Grid.of((8, 16, 16), (4.0, 3.0, 3.0))
    for name in ("a", "b"):
        truth = np.zeros(grid.shape, dtype=np.uint8)
        truth[2:6, 4:9, 4:9] = 1
        for folder, array in (("truth", truth), ("same", truth), ("none", truth * 0)):
            write_volume(tmp_path / folder / f"{name}.nii.gz", array, grid)
    arguments = ["evaluate", "--pred", tmp_path / "same", "--truth", tmp_path / "truth", "--against", tmp_path / "none"]
    done = CliRunner().invoke(app, [*map(str, arguments), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Dice: 1.000 (")
    assert lines[0].endswith("against none")
    assert "False positives per healthy scan: –, no scan is healthy" in lines
    assert lines[-1] == f"report: {tmp_path / 'out' / 'report.html'}"
