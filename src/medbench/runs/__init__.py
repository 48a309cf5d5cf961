"""Plan and execute a run, resume it, score it, export its submission package."""
