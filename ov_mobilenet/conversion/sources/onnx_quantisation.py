"""Find out how an ONNX network is quantised, for what OpenVINO says of a network that it cannot read.

The fields of the protobuf messages that are read:

    ModelProto      graph 7
    GraphProto      node 1
    NodeProto       op_type 4, attribute 5
    AttributeProto  name 1
"""

from __future__ import annotations

from pathlib import Path

from ov_mobilenet.conversion.sources.protobuf import length_delimited_fields

_GRAPH, _NODE, _OP_TYPE, _ATTRIBUTE, _NAME = 7, 1, 4, 5, 1


def is_quantised_per_channel(network: Path) -> bool:
    """Whether a QuantizeLinear or DequantizeLinear has an axis, along which it has several scales.

    Args:
        network: a file that `data_files` has read, so that it is a well-formed message.
    """
    for field, graph in length_delimited_fields(memoryview(network.read_bytes())):
        if field == _GRAPH and any(_has_axis(node) for kind, node in length_delimited_fields(graph) if kind == _NODE):
            return True
    return False


def _has_axis(node: memoryview) -> bool:
    fields = [(field, bytes(value)) for field, value in length_delimited_fields(node)]
    if not {(_OP_TYPE, b"QuantizeLinear"), (_OP_TYPE, b"DequantizeLinear")}.intersection(fields):
        return False
    attributes = [memoryview(value) for field, value in fields if field == _ATTRIBUTE]
    return any((_NAME, b"axis") in _plain_fields(attribute) for attribute in attributes)


def _plain_fields(message: memoryview) -> list[tuple[int, bytes]]:
    return [(field, bytes(value)) for field, value in length_delimited_fields(message)]
