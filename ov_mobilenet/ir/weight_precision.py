"""The weight precision of a network, for IRs that do not record it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino as ov

_NAMES = {"f32": "FP32", "f16": "FP16", "bf16": "BF16", "i8": "INT8", "u8": "INT8", "i4": "INT4", "u4": "INT4"}


def weight_precision(network: ov.Model) -> str | None:
    """INT8 for a network with quantised activations, otherwise the type of most weights; None without weights."""
    sizes: Counter[str] = Counter()
    for node in network.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "FakeQuantize":
            return "INT8"
        if kind == "Constant":
            name = _NAMES.get(node.get_element_type().get_type_name())
            if name is not None:
                sizes[name] += node.get_byte_size()
    return max(sizes, key=lambda name: sizes[name]) if sizes else None
