"""What this process may use, and has used."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Any

from ov_mobilenet.operating_system import systems

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def raise_open_file_limit(wanted: int) -> None:
    """Raise the soft limit of open files of this process, as far as its hard limit allows; Windows has none."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )  # fmt: skip


def physical_memory() -> int | None:
    """The memory of the machine in bytes; None if the system does not tell it, and on Windows."""
    with suppress(AttributeError, ValueError, OSError):  # AttributeError: Windows
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return pages * size if pages > 0 and size > 0 else None
    return None


def address_space_limit() -> int | None:
    """RLIMIT_AS (`ulimit -v`) in bytes; None without a limit, and on Windows."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def peak_memory_bytes() -> int | None:
    """The largest resident size that this process has had, in bytes; None if the system does not tell it."""
    if resource is None:
        return _windows_peak_memory_bytes()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if systems.MACOS else peak * 1024


def load_average() -> float | None:
    """Mean number of processes that ran or waited in the last minute; None on Windows."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows
        return None


class _MemoryCounters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of psapi.h."""

    _fields_ = (
        ("cb", ctypes.c_uint32),
        ("page_fault_count", ctypes.c_uint32),
        *(
            (name, ctypes.c_size_t)
            for name in (
                "peak_working_set_size", "working_set_size", "quota_peak_paged_pool_usage", "quota_paged_pool_usage",
                "quota_peak_non_paged_pool_usage", "quota_non_paged_pool_usage", "pagefile_usage",
                "peak_pagefile_usage",
            )
        ),
    )  # fmt: skip


def _windows_peak_memory_bytes() -> int | None:
    try:
        kernel: Any = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]  # Windows only
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.K32GetProcessMemoryInfo.argtypes = [ctypes.c_void_p, ctypes.POINTER(_MemoryCounters), ctypes.c_uint32]
        counters = _MemoryCounters(cb=ctypes.sizeof(_MemoryCounters))
        done = kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb)
    except (AttributeError, OSError):
        return None
    return int(counters.peak_working_set_size) if done else None
