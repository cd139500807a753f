"""An IR of any tool, prepared for a diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ov_mobilenet.diagnosis.baked import readings
from ov_mobilenet.diagnosis.candidates import Candidate, candidate_of
from ov_mobilenet.diagnosis.conversion_command import NetworkOrigin
from ov_mobilenet.diagnosis.input_part import split_network
from ov_mobilenet.diagnosis.network import NetworkUnderTest, compiled
from ov_mobilenet.errors import OvMobilenetError, UsageError
from ov_mobilenet.ir.files import OpenedIr
from ov_mobilenet.ir.layout import input_layout
from ov_mobilenet.ir.mo_record import conversion_parameters, read_mo_record
from ov_mobilenet.ir.ports import find_output, single_input
from ov_mobilenet.ir.probabilities import finish_output
from ov_mobilenet.zoo.geometry import Geometry, check_size, resize_whole_image

if TYPE_CHECKING:
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.diagnosis.network import Values
    from ov_mobilenet.zoo.output_kind import OutputKind


@dataclass(frozen=True)
class _Runnable:
    """A network that takes pixels outside 0..255 too.

    Attributes:
        layout: layout of its input.
        to_network: what to make of pixels before they are fed.
    """

    network: ov.Model
    layout: str
    to_network: Callable[[Values], Values]


def network_of_ir(ir: OpenedIr, geometry: Geometry | None = None) -> NetworkUnderTest:
    """Prepare an IR of any tool.

    The part before the first convolution is replaced by what a normalisation makes of the pixels, so that neither a
    quantisation nor the element type of the input limits the values. If what it does cannot be told, the candidates are
    applied to pixels that then pass through it.

    The baked normalisation is that of the IR's record, ours or the Model Optimizer's; without one it is read from the
    graph.

    Args:
        ir: its network is changed.
        geometry: instead of the one that the IR records.

    Raises:
        UsageError: the IR takes YUV planes, has several outputs, or does not tell the size of the images.
        ConversionError: the layout of the input is unknown, or the output does not hold class scores.
    """
    record = ir.record
    if record is not None and record.planes is not None:
        raise UsageError(
            "an IR that takes YUV planes cannot be diagnosed", where=ir.xml,
            expected="an IR that takes BGR or RGB frames",
            fix="Diagnose an IR of the same model that was converted without --color-format",
        )  # fmt: skip
    network, kind, layout = _finished(ir)
    split = split_network(network, layout, was_float=_was_float(ir))
    known = _recorded(ir)
    baked: tuple[Candidate, ...] = (known,) if known is not None else readings(split) if split is not None else ()
    if split is not None and baked:
        run = _Runnable(split.rest, "NCHW", split.to_rest.apply)
    elif record is not None and record.geometry_baked:
        raise UsageError(
            "the crop and the resize in the graph of the IR hide its normalisation", where=ir.xml,
            fix="Diagnose an IR of the same model that was converted without --bake-geometry",
        )  # fmt: skip
    else:
        _take_floats(network)
        run = _Runnable(network, layout, lambda pixels: pixels)
    recorded = record.geometry if record is not None else None
    height, width = _size(run, geometry or recorded, ir)
    if geometry is not None:
        check_size(geometry, height, width)
    infer = compiled(run.network, run.layout)
    rgb_input = record is not None and record.channel_order == "RGB"

    def of_reading(reading: Candidate | None) -> NetworkUnderTest:
        def answers(values: Values) -> NDArray[np.float32]:
            found = infer(run.to_network(_undone(reading, values, rgb_input)))[0]
            # Values for which the graph has no result tell nothing.
            return np.where(np.isfinite(found).all(1, keepdims=True), found, np.float32(1 / found.shape[1]))

        return NetworkUnderTest(
            ir.xml,
            geometry or recorded or resize_whole_image(height, width),
            kind,
            answers,
            is_ir=True,
            baked=reading,
            origin=_origin(ir),
        )

    first, *others = map(of_reading, baked or (None,))
    return replace(first, other_readings=tuple(others))


def _finished(ir: OpenedIr) -> tuple[ov.Model, OutputKind, str]:
    """The network with probabilities or features as output, what they are, and the layout of the input."""
    network, layout = ir.network, input_layout(ir.network, ir.xml)
    if ir.record is not None:
        return network, ir.record.output_kind, layout
    port = single_input(network, "", ir.xml)
    if len(network.outputs) != 1:
        raise UsageError(
            "an IR with several outputs cannot be diagnosed", where=ir.xml, expected="one output, the class scores",
            got=f"{len(network.outputs)} outputs", fix="Convert the network again with the scores as its only output",
        )  # fmt: skip
    return *finish_output(find_output(network, None, ir.xml), port.get_node(), None, layout, ir.xml), layout


def _recorded(ir: OpenedIr) -> Candidate | None:
    """The normalisation in a record, ours or the Model Optimizer's; None without a record that can be read."""
    if ir.record is not None:
        documented = ir.record.normalisation
        # The reversal in a record is relative to the frames, that of a candidate to BGR.
        reverse = documented.reverse_input_channels != (ir.record.channel_order == "RGB")
        return candidate_of(msgspec.structs.replace(documented, reverse_input_channels=reverse), "baked")
    made = read_mo_record(ir.network)
    try:
        return candidate_of(made.normalisation(), "baked") if made is not None else None
    except (ValueError, OvMobilenetError):
        return None


def _was_float(ir: OpenedIr) -> bool:
    """Whether NNCF, which `quantize` uses too, quantised a float network."""
    return (ir.record is not None and ir.record.calibration is not None) or ir.network.has_rt_info(["nncf"])


def _origin(ir: OpenedIr) -> NetworkOrigin:
    """The source network and the name that a record tells."""
    if ir.record is not None:
        source = next(iter(ir.record.sources), "NETWORK") if len(ir.record.sources) == 1 else "NETWORK"
        return NetworkOrigin(source=source, name=ir.record.config_name, geometry=ir.record.geometry)
    source = conversion_parameters(ir.network).get("input_model", "") or "NETWORK"
    return NetworkOrigin(source=source, name=ir.xml.stem)


def _undone(baked: Candidate | None, values: Values, rgb_input: bool) -> Values:
    """The pixels, in the channel order of the IR's input, of which the baked normalisation makes these values."""
    if baked is None:
        return values
    pixels = values * np.array(baked.scale or 1.0, np.float32) + np.array(baked.mean or 0.0, np.float32)
    return pixels[..., ::-1] if (baked.channel_order == "RGB") != rgb_input else pixels


def _take_floats(network: ov.Model) -> None:
    """Make the input float32, so that it takes values outside 0..255 too."""
    import openvino as ov

    (parameter,) = network.get_parameters()
    if parameter.get_element_type() != ov.Type.f32:
        parameter.set_element_type(ov.Type.f32)
        parameter.validate_and_infer_types()
        network.validate_nodes_and_infer_types()


def _size(run: _Runnable, geometry: Geometry | None, ir: OpenedIr) -> tuple[int, int]:
    """Height and width of the frames; a network that leaves them open is fixed to those of the geometry."""
    shape = run.network.inputs[0].get_partial_shape()
    last = geometry.steps[-1] if geometry is not None else None
    found = []
    for letter, chosen in (("H", last.height if last else None), ("W", last.width if last else None)):
        size = shape[run.layout.index(letter)]
        found.append(chosen if size.is_dynamic else size.get_length())
    height, width = found
    if height is None or width is None:
        raise UsageError(
            "the IR takes images of any size", where=ir.xml, expected="the size that the network was trained with",
            fix="Give it with --geometry, such as --geometry 'resize 224'",
        )  # fmt: skip
    by_letter = {"N": shape[run.layout.index("N")], "C": 3, "H": height, "W": width}
    run.network.reshape([by_letter[letter] for letter in run.layout])
    return height, width
