"""Limit the threads of libraries that read the affinity mask, but not the CPU quota of a container."""

from __future__ import annotations

import os

from ov_mobilenet.devices.processors import cpus_in_mask, usable_cpus

# NumPy's BLAS, torch and pyarrow; OpenCV; TensorFlow. Read when the library is imported.
VARIABLES = ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def limit_library_threads() -> None:
    """Set the variables that are not set yet, for this process and those that it starts."""
    usable = usable_cpus()
    if usable < cpus_in_mask():
        for name in VARIABLES:
            os.environ.setdefault(name, str(usable))
