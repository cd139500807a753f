"""Run a source network in its own framework in a child process: the framework may crash on it, or not end."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.accuracy.source_networks import Oracle, source_oracle
from ov_mobilenet.conversion.sources import network_framework
from ov_mobilenet.isolation.availability import can_isolate
from ov_mobilenet.isolation.isolated_function import IsolatedFunction, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.zoo.arguments import ConversionPlan
    from ov_mobilenet.zoo.model import ModelConfig

log = logging.getLogger(__name__)

LOADING_LIMIT_S = 300.0
FRAME_LIMIT_S = 60.0
# The frameworks that run a graph from the file. PyTorch and Keras run modules that this package builds or checks.
_MODULES = {"onnx": ("onnxruntime",), "tflite": ("ai_edge_litert.interpreter",), "tf": ("tensorflow",)}
_SIZE = struct.Struct("<II")
_NOTES = b""  # a request for what was logged while the network was loaded


def isolated_oracle(config: ModelConfig, plan: ConversionPlan, path: Path) -> Oracle:
    """`source_oracle` in a child process, for frameworks that run a graph from the file; its answers are the same.

    Raises:
        ConversionError: the framework crashes, or takes too long. The returned function raises it too.
        MissingDependencyError, ConversionError: as `source_oracle`.
    """
    framework = network_framework(config, path)
    if framework not in _MODULES or not can_isolate():
        return source_oracle(config, plan, path)
    modules = (*_MODULES[framework], "ov_mobilenet.accuracy.source_networks")
    task = Task(f"{__name__}.oracle_of_bytes", (config, plan, path), modules, "running the source network", path)
    isolated = IsolatedFunction(task, LOADING_LIMIT_S)
    for note in isolated(_NOTES, FRAME_LIMIT_S).decode().splitlines():
        log.warning("%s", note)

    def run(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        import numpy as np

        height, width, _ = frame.shape
        answer = isolated(_SIZE.pack(height, width) + frame.tobytes(), FRAME_LIMIT_S)
        return np.frombuffer(answer, np.float32)

    return run


def oracle_of_bytes(config: ModelConfig, plan: ConversionPlan, path: Path) -> Callable[[bytes], bytes]:
    """In the child process: the oracle as a function from height, width and pixels to the float32 answer."""
    import numpy as np

    notes = _Notes()
    package = logging.getLogger("ov_mobilenet")
    package.addHandler(notes)
    try:
        oracle = source_oracle(config, plan, path)
    finally:
        package.removeHandler(notes)

    def answer(request: bytes) -> bytes:
        if request == _NOTES:
            return "\n".join(notes.lines).encode()
        height, width = _SIZE.unpack_from(request)
        frame = np.frombuffer(request, np.uint8, offset=_SIZE.size).reshape(height, width, 3)
        return oracle(frame).tobytes()

    return answer


class _Notes(logging.Handler):
    """Keeps the warnings of a child process, which has no log of its own, as one line each."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(" ".join(record.getMessage().split()))
