"""Refuse networks with loops that would run endlessly, or too long for an image classifier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import openvino as ov

MAX_ROUNDS = 10_000


def check_loops(model: ov.Model, path: Path) -> None:
    """Check that all loops of a network have a fixed number of rounds, at most `MAX_ROUNDS` with the loops in them.

    Raises:
        ConversionError: a loop has more rounds, or their number depends on the image.
    """
    rounds = _rounds(model)
    if rounds is None or rounds > MAX_ROUNDS:
        raise ConversionError(
            "the network has a loop that takes too long", where=path, expected=f"at most {MAX_ROUNDS} rounds",
            got="a number that is not fixed" if rounds is None else rounds,
            fix="Export the network without loops",
        )  # fmt: skip


def _rounds(model: ov.Model) -> int | None:
    """Rounds of the longest loop, times those of the loops in it; None if a number is not fixed."""
    longest = 1
    for operation in model.get_ops():
        kind = operation.get_type_name()
        if kind in ("Loop", "TensorIterator"):
            own, inner = int(operation.get_num_iterations()), _rounds(operation.get_function())
            if own < 0 or inner is None:
                return None
            longest = max(longest, own * inner)
        elif kind == "If":
            for branch in (0, 1):
                inner = _rounds(operation.get_function(branch))
                if inner is None:
                    return None
                longest = max(longest, inner)
    return longest
