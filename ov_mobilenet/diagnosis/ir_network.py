"""An IR of any tool, prepared for a diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ov_mobilenet.diagnosis.candidates import Candidate, candidate_of
from ov_mobilenet.diagnosis.network import NetworkUnderTest, compiled
from ov_mobilenet.errors import OvMobilenetError, UsageError
from ov_mobilenet.ir.files import OpenedIr
from ov_mobilenet.ir.layout import input_layout
from ov_mobilenet.ir.mo_record import read_mo_record
from ov_mobilenet.ir.ports import find_output, single_input
from ov_mobilenet.ir.probabilities import finish_output
from ov_mobilenet.zoo.geometry import Geometry, resize_whole_image

if TYPE_CHECKING:
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.diagnosis.network import Values


def network_of_ir(ir: OpenedIr, geometry: Geometry | None = None) -> NetworkUnderTest:
    """Prepare an IR of any tool.

    The graph's own normalisation is cancelled on the host: to make the network see v, it is fed with v * scale + mean.

    Args:
        ir: its network is changed.
        geometry: instead of the one that the IR records.

    Raises:
        UsageError: crop and resize are in the graph, or it takes YUV planes.
        ConversionError: the layout of the input is unknown, or the output does not hold class scores.
    """
    record = ir.record
    if record is not None and (record.geometry_baked or record.planes is not None):
        raise UsageError(
            "an IR with crop, resize or colour conversion in the graph cannot be diagnosed", where=ir.xml,
            expected="an IR that takes BGR or RGB frames of the network's size",
            fix="Diagnose an IR of the same model that was converted without --bake-geometry and --color-format",
        )  # fmt: skip
    network, layout = ir.network, input_layout(ir.network, ir.xml)
    kind = record.output_kind if record is not None else "classes"
    if record is None:
        port = single_input(network, "", ir.xml)
        network, kind = finish_output(find_output(network, None, ir.xml), port.get_node(), None, layout, ir.xml)
    baked = _baked(ir)
    _take_floats(network)
    rgb_input = record is not None and record.channel_order == "RGB"
    size = _size(network, layout)
    recorded = record.geometry if record is not None else None
    run = compiled(network, layout)

    def answers(values: Values) -> NDArray[np.float32]:
        pixels = values
        if baked is not None:
            pixels = values * np.array(baked.scale or 1.0, np.float32) + np.array(baked.mean or 0.0, np.float32)
            reverses = (baked.channel_order == "RGB") != rgb_input
            pixels = pixels[..., ::-1] if reverses else pixels
        return run(pixels)[0]

    return NetworkUnderTest(
        ir.xml, geometry or recorded or resize_whole_image(*size), kind, answers, is_ir=True, baked=baked
    )


def _baked(ir: OpenedIr) -> Candidate | None:
    """The normalisation in a record, ours or the Model Optimizer's; None without a record that can be read."""
    if ir.record is not None:
        return candidate_of(ir.record.normalisation, "baked")
    made = read_mo_record(ir.network)
    try:
        return candidate_of(made.normalisation(), "baked") if made is not None else None
    except (ValueError, OvMobilenetError):
        return None


def _take_floats(network: ov.Model) -> None:
    """Make the input float32, so that it takes values outside 0..255 too."""
    import openvino as ov

    (parameter,) = network.get_parameters()
    if parameter.get_element_type() != ov.Type.f32:
        parameter.set_element_type(ov.Type.f32)
        parameter.validate_and_infer_types()
        network.validate_nodes_and_infer_types()


def _size(network: ov.Model, layout: str) -> tuple[int, int]:
    shape = network.inputs[0].get_partial_shape()
    height, width = (shape[layout.index(letter)] for letter in "HW")
    return height.get_length(), width.get_length()
