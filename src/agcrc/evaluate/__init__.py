"""How good predictions are: overlap, distances, lesions found, comparisons, figures and a report."""

from agcrc.evaluate.case import Case, measure_case
from agcrc.evaluate.compare import Difference, compare
from agcrc.evaluate.report import write_report
from agcrc.evaluate.run import Evaluation, evaluate_folders
from agcrc.evaluate.summary import Summary, summarise

__all__ = [
    "Case",
    "Difference",
    "Evaluation",
    "Summary",
    "compare",
    "evaluate_folders",
    "measure_case",
    "summarise",
    "write_report",
]
