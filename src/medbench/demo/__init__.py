"""Illustrative items of our own to try the bench out: `items.jsonl`, described in `DATASHEET.md`; never for ranking."""
