"""Benchmark: timed loops, latency, comparison with a baseline, reports."""
