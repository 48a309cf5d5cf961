"""Aggregation, summaries, comparisons and reports."""
