"""Canonical operation names, so that the same network gives the same bytes.

OpenVINO numbers operations with a per-process counter (`Transpose_9138`), so the names depend on the networks that
were converted before. Generated names are numbered again in graph order; names from the source network are kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino as ov

_GENERATED = re.compile(r"([A-Za-z0-9]+)_\d+(?:[./].*)?")


def make_canonical(model: ov.Model, model_name: str, input_name: str) -> None:
    """Rename the model, its input, its output and every operation that has a generated name."""
    kinds = _operation_kinds()
    model.set_friendly_name(model_name)
    operations = model.get_ordered_ops()
    ends = {"Parameter", "Result"}
    renamed = [op for op in operations if op.get_type_name() in ends or _is_generated(op.get_friendly_name(), kinds)]
    renamed_ids = {id(op) for op in renamed}
    taken = {op.get_friendly_name() for op in operations if id(op) not in renamed_ids}
    counts: dict[str, int] = {}
    for operation in renamed:
        kind = operation.get_type_name()
        if kind == "Parameter":
            name = input_name
        else:
            while True:
                counts[kind] = counts.get(kind, 0) + 1
                name = f"{kind}_{counts[kind]}"
                if name not in taken:
                    break
        taken.add(name)
        operation.set_friendly_name(name)


def _is_generated(name: str, kinds: frozenset[str]) -> bool:
    """Whether a part of the name is a number, or the type of an operation followed by a number."""
    parts = name.split("/")
    for part in parts:
        match = _GENERATED.fullmatch(part)
        if part.isdigit() or (match and match[1].lower() in kinds):
            return True
    return False


def _operation_kinds() -> frozenset[str]:
    import openvino.opset13 as ops

    return frozenset(name.replace("_", "").lower() for name in dir(ops) if not name.startswith("_"))
