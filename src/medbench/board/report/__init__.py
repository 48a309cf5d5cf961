"""The report of a run: one self-contained HTML file in Chinese and English."""

from medbench.board.report.render import write_report

__all__ = ["write_report"]
