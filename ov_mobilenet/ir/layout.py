"""Which dimension of a network's input is which: NCHW or NHWC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import openvino as ov


def guess_layout(shape: Sequence[int]) -> str | None:
    """NCHW or NHWC by where the 3 channels are; None if both or neither fit.

    Args:
        shape: of the input; -1 for a dynamic dimension.
    """
    if len(shape) != 4:
        return None
    channels_at = [axis for axis in (1, 3) if shape[axis] == 3]
    return {1: "NCHW", 3: "NHWC"}[channels_at[0]] if len(channels_at) == 1 else None


def input_layout(model: ov.Model, path: Path | None) -> str:
    """The layout of a network's input: as the model says, else where the 3 channels are.

    Raises:
        ConversionError: the input has no channel dimension of size 3.
    """
    from ov_mobilenet.ir.ports import static_sizes

    text = plain_layout(str(model.get_parameters()[0].layout))
    if len(text) != 4:
        text = guess_layout(static_sizes(model.inputs[0])) or "NHWC"
    check_layout(model, text, path)
    return text


def set_layout(model: ov.Model, layout: str, path: Path) -> None:
    """Set the layout of a network's input, such as `NCHW` or `[N,C,H,W]`.

    Raises:
        ConversionError: the layout does not fit the input.
    """
    import openvino as ov

    letters = plain_layout(layout)
    check_layout(model, letters, path)
    model.get_parameters()[0].layout = ov.Layout(letters)


def plain_layout(text: str) -> str:
    """`[N,C,H,W]` as NCHW."""
    return text.strip("[]").replace(",", "").upper()


def check_layout(model: ov.Model, layout: str, path: Path | None) -> None:
    """Check that a layout fits the input and its channel dimension is 3, or PPP would flip another axis.

    Raises:
        ConversionError: it does not.
    """
    shape = model.inputs[0].get_partial_shape()
    fits = shape.rank.is_static and len(layout) == len(shape) == 4 and sorted(layout) == sorted("NCHW")
    channels = shape[layout.index("C")] if fits else None
    if channels is None or channels.is_dynamic or channels.get_length() != 3:
        raise ConversionError(
            "the layout does not fit the network's input", where=path,
            expected="four dimensions N, C, H, W, the C of size 3", got=f"{layout} for {shape}",
        )  # fmt: skip
