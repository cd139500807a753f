"""Inference rate of a compiled model without any other work."""

from __future__ import annotations

import time
from typing import Any

import numpy as np


def runs_per_second(compiled: Any, requests: int, seconds: float) -> float:
    """Requests per second on random input.

    Args:
        requests: number of infer requests in parallel; they are waited for in turn.
    """
    running = [compiled.create_infer_request() for _ in range(requests)]
    for request in running:
        pixels = request.get_input_tensor().data
        pixels[:] = np.random.default_rng(0).integers(0, 256, pixels.shape)
        request.infer()
    for request in running:
        request.start_async()
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        running[done % requests].wait()
        running[done % requests].start_async()
        done += 1
    elapsed = time.perf_counter() - begun
    for request in running:
        request.wait()
    return done / elapsed
