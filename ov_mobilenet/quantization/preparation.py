"""Prepare a quantisation: check the float IR, choose the scheme, and find the size of its frames."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError, IrError, UsageError
from ov_mobilenet.ir.files import OpenedIr
from ov_mobilenet.ir.layout import input_layout
from ov_mobilenet.ir.ports import check_classifier
from ov_mobilenet.ir.record import IrRecord
from ov_mobilenet.quantization.topology import Preset, QuantisationScheme, choose_scheme
from ov_mobilenet.zoo.geometry import Geometry, resize_whole_image

if TYPE_CHECKING:
    import openvino as ov

log = logging.getLogger(__name__)

INT8_PRECISION = "FP16-INT8"


def check_quantisable(ir: OpenedIr) -> IrRecord:
    """Return the record of an IR that can be quantised.

    Raises:
        IrError: the IR is quantised already, has no record of ov-mobilenet, or crops and resizes in the graph, or takes
            planes.
        UsageError: its output is not the probabilities of exclusive classes.
    """
    record = ir.record
    quantised = any(node.get_type_name() == "FakeQuantize" for node in ir.network.get_ops())
    if quantised or (record is not None and record.precision == INT8_PRECISION):
        raise IrError(
            "the network is already quantised", where=ir.xml, expected="an FP32 or FP16 IR",
            fix="Quantise the float IR that it was made from",
        )  # fmt: skip
    if record is None:
        raise IrError(
            "the IR has no record of ov-mobilenet, so its geometry and normalisation are unknown", where=ir.xml,
            fix="Convert the source network with ov-mobilenet convert, and quantise the result",
        )  # fmt: skip
    if record.geometry_baked or record.planes is not None:
        raise IrError(
            "only the plain form of a model can be quantised", where=ir.xml,
            expected="an IR that takes frames of the network's own size",
            got="one that crops and resizes in the graph" if record.geometry_baked else f"{record.planes} planes",
            fix="Convert without --bake-geometry and with --color-format bgr",
        )  # fmt: skip
    if record.output_kind != "classes":
        raise UsageError(
            "only networks of exclusive classes can be quantised", where=ir.xml, expected="classes",
            got=record.output_kind,
        )  # fmt: skip
    check_classifier(ir.network, ir.xml)
    return record


def complete_scheme(
    network: ov.Model, preset: Preset | None, ignored_scope: tuple[str, ...], xml: Path
) -> QuantisationScheme:
    """Return the scheme for a network, with the requested preset and ignored scope.

    Args:
        preset: None for the preset that was measured best for networks of this kind.
        ignored_scope: names of operations, or regular expressions that match names; these operations stay in float
            too.

    Raises:
        UsageError: an ignored scope is not a regular expression, or matches no operation.
    """
    chosen = choose_scheme(network)
    names = [node.get_friendly_name() for node in network.get_ordered_ops() if node.get_type_name() != "Constant"]
    ignored: list[str] = []
    for scope in ignored_scope:
        try:
            found = [name for name in names if name == scope or re.fullmatch(scope, name)]
        except re.error as error:
            raise UsageError(f"invalid ignored scope ({error})", got=repr(scope)) from error
        if not found:
            raise UsageError("an ignored scope matches no operation", where=xml, got=repr(scope))
        ignored += found
    in_float = tuple(dict.fromkeys((*chosen.in_float, *ignored)))
    scheme = QuantisationScheme(preset or chosen.preset, chosen.ranges, in_float, chosen.reason)
    log.info("%s: preset %s, %d operations in float (%s)", xml, scheme.preset, len(in_float), chosen.reason)
    return scheme


def whole_image_geometry(network: ov.Model) -> Geometry:
    """Return the geometry that resizes the whole image to the network's input size. Raises: ConversionError."""
    layout = input_layout(network, None)
    shape = network.inputs[0].get_partial_shape()
    sides = [shape[layout.index(letter)] for letter in "HW"]
    if any(side.is_dynamic for side in sides):
        raise ConversionError("the network takes any image size", fix="Set one with convert --input-shape")
    return resize_whole_image(sides[0].get_length(), sides[1].get_length())
