"""Run torch modules side by side, each with one thread."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from ov_mobilenet.devices.processors import usable_cpus


@contextmanager
def one_module_per_thread() -> Iterator[ThreadPoolExecutor]:
    """A pool with one thread per processor; meanwhile torch uses one thread for an operation.

    Two modules side by side are faster than one with two threads, above all on a machine that is busy: torch's threads
    wait for each other after each operation.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(usable_cpus(), thread_name_prefix="ov-mobilenet-layers")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)
