"""The network that the other servers run: uint8 frames in, probabilities out, in one inference thread."""

from __future__ import annotations

import sys

import numpy as np
import openvino as ov
from openvino.preprocess import PrePostProcessor

NAME, INPUT, OUTPUT = "m", "input", "probabilities"


class FrameNetwork:
    """An IR that takes uint8 (1, H, W, 3) frames, whatever its own layout is."""

    def __init__(self, xml: str) -> None:
        model = ov.Core().read_model(xml)
        channels_last = model.inputs[0].partial_shape[3] == 3
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        steps.input().model().set_layout(ov.Layout("NHWC" if channels_last else "NCHW"))
        compiled = ov.compile_model(steps.build(), "CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1})
        self.input_shape = [int(size) for size in compiled.inputs[0].shape[1:]]
        self.classes = int(compiled.outputs[0].shape[1])
        self._request = compiled.create_infer_request()

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """The probabilities: float32 (1, classes)."""
        self._request.infer([np.ascontiguousarray(frames)], share_inputs=True)
        probabilities: np.ndarray = self._request.get_output_tensor(0).data.copy()
        return probabilities


def arguments() -> tuple[str, int, int]:
    """The IR and the ports of HTTP and gRPC, from the command line."""
    xml, *ports = sys.argv[1:]
    http, grpc = map(int, ports)
    return xml, http, grpc
