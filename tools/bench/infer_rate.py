"""Wall time and CPU time of inference without any other work."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from cpu_time import Used


def used_per_run(compiled: Any, requests: int, seconds: float) -> Used:
    """Wall time and CPU time of one request, on random input.

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
    done, begun, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < seconds:
        running[done % requests].wait()
        running[done % requests].start_async()
        done += 1
    used = Used(time.perf_counter() - begun, time.process_time() - cpu)
    for request in running:
        request.wait()
    return used / done
