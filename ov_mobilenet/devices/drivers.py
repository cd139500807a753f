"""Drivers that devices need: the symptoms of a missing one, and how to install it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DOCS = "https://docs.openvino.ai/2026/get-started/install-openvino/configurations"


@dataclass(frozen=True)
class Driver:
    """A driver that a device needs in addition to OpenVINO.

    Attributes:
        looks_like: the symptoms if it is missing.
        advice: how to install it.
        page: the documentation.
    """

    looks_like: str
    advice: str
    page: str


DRIVERS = {
    "GPU": Driver(
        looks_like=(
            "'libOpenCL.so.1: cannot open shared object file' if the OpenCL loader is missing; no GPU in the list if "
            "the Intel driver is missing or the user is not in the group render"
        ),
        advice=(
            "On Ubuntu: apt-get install ocl-icd-libopencl1 intel-opencl-icd, and usermod -a -G render $LOGNAME; "
            f"{_DOCS}/configurations-intel-gpu.html"
        ),
        page=f"{_DOCS}/configurations-intel-gpu.html",
    ),
    "NPU": Driver(
        looks_like=(
            "the plugin finds no device: /dev/accel/accel0 does not exist, and dmesg has no line "
            "'Initialized intel_vpu' (kernel 6.6 or newer)"
        ),
        advice=(
            "On Linux: install the packages from https://github.com/intel/linux-npu-driver/releases; "
            f"{_DOCS}/configurations-intel-npu.html"
        ),
        page=f"{_DOCS}/configurations-intel-npu.html",
    ),
}


def reason_of(error: Exception) -> str:
    """The last line of an OpenVINO error message, which has the reason, without library paths."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else "no reason given"
    return re.sub(r'^Cannot load library "[^"]*": ', "", reason)
