"""What tests and benchmarks share: an endpoint with faults."""
