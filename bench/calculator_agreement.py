"""How far the agent's calculators agree with the reference values of MedCalc-Bench and CMedCalc-Bench.

    python bench/calculator_agreement.py --shared ../shared

Each row's own inputs (what its patient's note holds, as the set lists them) go into our formula; a value agrees where
it lies within the row's limits (MedCalc-Bench), or within 5 % of its value (CMedCalc-Bench, which has none).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _common import markdown_table
from support import cmedcalc, medcalc


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/qa")
    folder = parser.parse_args().shared / "data" / "qa"
    for name, found in (
        ("MedCalc-Bench", medcalc.agreement(medcalc.cases(folder / "medcalc_bench" / "test_data.csv"))),
        ("CMedCalc-Bench", medcalc.agreement(cmedcalc.cases(folder / "cmedcalc_bench" / "equation.json"))),
    ):
        agrees, count = (sum(column) for column in zip(*found.values(), strict=True))
        whole = sum(agree == rows for agree, rows in found.values())
        print(f"\n{name}: {agrees} of {count} rows agree; {whole} of {len(found)} calculators in every row.\n")
        rows = [[each, agree, rows] for each, (agree, rows) in found.items() if agree < rows]
        print(markdown_table(["calculator", "agree", "rows"], rows))


if __name__ == "__main__":
    main()
