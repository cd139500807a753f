"""Read a network of unknown origin in a child process first: OpenVINO's frontends crash on some damaged files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.isolation import IsolatedFunction, Task, can_isolate

if TYPE_CHECKING:
    from ov_mobilenet.zoo.arguments import ConversionPlan

READING_LIMIT_S = 60.0
# The others are read by Python packages: pickles and HDF5 by torch and h5py, with checks of our own.
_NATIVE_FRAMEWORKS = ("onnx", "tf", "tflite")
_MODULES = ("openvino", "openvino.frontend", "openvino.tools.ovc.error", "ov_mobilenet.conversion.sources")


def try_to_read(framework: str, plan: ConversionPlan, path: Path) -> None:
    """Read the network in a child process; nothing is done for frameworks without a native reader.

    Raises:
        ConversionError: reading crashes or does not end; or as `read_network`.
        MissingDependencyError: the framework's package is not installed.
    """
    if framework in _NATIVE_FRAMEWORKS and can_isolate():
        task = Task(f"{__name__}.read_once", (framework, plan, path), _MODULES, "reading the network", path)
        IsolatedFunction(task, READING_LIMIT_S).close()


def read_once(framework: str, plan: ConversionPlan, path: Path) -> Callable[[bytes], bytes]:
    """In the child process: read the network."""
    from ov_mobilenet.conversion.sources import read_network

    read_network(framework, plan, path)
    return bytes
