"""MedBench: a benchmarking platform for medical AI."""

__version__ = "0.1.0"
