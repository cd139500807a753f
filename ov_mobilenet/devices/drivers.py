"""What a missing driver looks like, and where to get it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DOCS = "https://docs.openvino.ai/2026/get-started/install-openvino/configurations"


@dataclass(frozen=True)
class Driver:
    """What a device needs besides OpenVINO.

    Attributes:
        looks_like: what is seen where it is missing.
        advice: what to install.
        page: where that is documented.
    """

    looks_like: str
    advice: str
    page: str


DRIVERS = {
    "GPU": Driver(
        looks_like=(
            "'libOpenCL.so.1: cannot open shared object file' where the OpenCL loader is missing; no GPU in the list "
            "where the loader finds no Intel driver, or you are not in the group render"
        ),
        advice=(
            "On Ubuntu: apt-get install ocl-icd-libopencl1 intel-opencl-icd, and usermod -a -G render $LOGNAME; "
            f"{_DOCS}/configurations-intel-gpu.html"
        ),
        page=f"{_DOCS}/configurations-intel-gpu.html",
    ),
    "NPU": Driver(
        looks_like=(
            "the plugin loads and finds no device: there is no /dev/accel/accel0, and dmesg has no line "
            "'Initialized intel_vpu' (kernel 6.6 or newer)"
        ),
        advice=(
            "On Linux: the packages of https://github.com/intel/linux-npu-driver/releases; "
            f"{_DOCS}/configurations-intel-npu.html"
        ),
        page=f"{_DOCS}/configurations-intel-npu.html",
    ),
}


def reason_of(error: Exception) -> str:
    """The line of OpenVINO's message that says what happened, without paths of its own libraries."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[-1] if lines else "no reason given"
    return re.sub(r'^Cannot load library "[^"]*": ', "", said)
