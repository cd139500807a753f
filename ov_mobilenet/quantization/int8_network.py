"""From the network that NNCF returns to the one that is saved."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ov_mobilenet.ir.files import OpenedIr

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.runtime.classifier import Classifier

LAYER_TYPES = ("Convolution", "GroupConvolution", "MatMul")
SHAPE_ONLY_TYPES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class Int8Network:
    """A quantised network in the form in which it is saved, without its record.

    Attributes:
        float_layers: names of the convolutions and matrix products that compute in float.
    """

    network: ov.Model
    float_layers: tuple[str, ...]


def finish(quantised: ov.Model, record: IrRecord) -> Int8Network:
    """Rewrite the network that NNCF returned: faster graph, remaining weights at FP16, canonical names.

    `quantised` is changed in place, so it can be finished only once.

    Args:
        record: the record of the float IR.
    """
    from ov_mobilenet.conversion.compression import compress_weights
    from ov_mobilenet.conversion.naming import make_canonical
    from ov_mobilenet.quantization.graph_rewrites import normalise_by_rows, shift_to_unsigned

    float_layers = _float_layers(quantised)  # before the rewrites, which insert operations before the layers
    normalise_by_rows(quantised)
    shift_to_unsigned(quantised)
    compress_weights(quantised)
    quantised.validate_nodes_and_infer_types()
    make_canonical(quantised, record.config_name, min(quantised.inputs[0].get_names()))
    return Int8Network(quantised, float_layers)


def compile_on_cpu(ir: OpenedIr) -> Classifier:
    """Compile a network for the CPU at f32; `ir` is not changed."""
    from ov_mobilenet.devices.compile import compile_model
    from ov_mobilenet.devices.settings import DeviceSettings
    from ov_mobilenet.runtime.runnable import make_runnable

    runnable = make_runnable(OpenedIr(ir.xml, ir.network.clone(), ir.record))
    return runnable.compile(compile_model, DeviceSettings(device="CPU", inference_precision="f32"))


def pixel_digest(pixels: NDArray[np.uint8]) -> str:
    """Return a digest of the calibration pixels: equal for INT8 models that were calibrated on the same images."""
    return "sha256:" + hashlib.sha256(pixels.tobytes()).hexdigest()


def _float_layers(network: ov.Model) -> tuple[str, ...]:
    """Return the names of convolutions and matrix products whose input is not quantised."""
    names = []
    for node in network.get_ordered_ops():
        if node.get_type_name() not in LAYER_TYPES:
            continue
        source = node.input_value(0).get_node()
        while source.get_type_name() in SHAPE_ONLY_TYPES:
            source = source.input_value(0).get_node()
        if source.get_type_name() != "FakeQuantize":
            names.append(node.get_friendly_name())
    return tuple(names)
