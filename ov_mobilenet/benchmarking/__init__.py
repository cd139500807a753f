"""Benchmark: throughput and latency of a model on a device, comparison with a baseline, reports."""
