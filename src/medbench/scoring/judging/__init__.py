"""Judges: models that rate open answers by a rubric and a contract, measured against people before they count."""
