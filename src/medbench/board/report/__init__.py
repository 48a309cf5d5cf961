"""The report of a run: one self-contained HTML file in Chinese and English."""

from medbench.board.report.render import warm_up, write_report

__all__ = ["warm_up", "write_report"]
