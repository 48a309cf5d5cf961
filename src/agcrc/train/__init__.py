"""Training: plan, prepared cases, networks, masked loss, loop, checkpoints."""

from agcrc.train.checkpoint import load_model
from agcrc.train.plan import Plan, make_plan, read_plan, write_plan
from agcrc.train.prepare import prepare_cases

__all__ = ["Plan", "load_model", "make_plan", "prepare_cases", "read_plan", "write_plan"]
