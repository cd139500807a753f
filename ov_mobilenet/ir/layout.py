"""The layout of a network's input: NCHW or NHWC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import openvino as ov

_NHWC_FRAMEWORKS = ("tf", "tflite", "keras")


def guess_layout(shape: Sequence[int]) -> str | None:
    """The layout in which C has size 3; None if both layouts qualify, or neither.

    Args:
        shape: shape of the input; -1 for a dynamic dimension.
    """
    if len(shape) != 4:
        return None
    channels_at = [axis for axis in (1, 3) if shape[axis] == 3]
    return {1: "NCHW", 3: "NHWC"}[channels_at[0]] if len(channels_at) == 1 else None


def framework_layout(framework: str) -> str:
    """The layout that networks of a framework usually have.

    Args:
        framework: the framework in the spelling of a description, such as onnx or tflite.
    """
    return "NHWC" if framework in _NHWC_FRAMEWORKS else "NCHW"


def input_layout(model: ov.Model, path: Path | None) -> str:
    """The layout of a network's input: the one that the model records, otherwise guessed from the shape.

    Raises:
        ConversionError: the input has no channel dimension of size 3.
    """
    from ov_mobilenet.ir.ports import static_sizes

    layout = plain_layout(str(model.get_parameters()[0].layout))
    if len(layout) != 4:
        layout = guess_layout(static_sizes(model.inputs[0])) or "NHWC"
    check_layout(model, layout, path)
    return layout


def set_layout(model: ov.Model, layout: str, path: Path) -> None:
    """Set the layout of a network's input.

    Args:
        layout: the layout, such as `NCHW` or `[N,C,H,W]`.

    Raises:
        ConversionError: the layout does not match the input.
    """
    import openvino as ov

    letters = plain_layout(layout)
    check_layout(model, letters, path)
    model.get_parameters()[0].layout = ov.Layout(letters)


def plain_layout(layout: str) -> str:
    """The letters alone: `NCHW` for `[N,C,H,W]`."""
    return layout.strip("[]").replace(",", "").upper()


def check_layout(model: ov.Model, layout: str, path: Path | None) -> None:
    """Check that a layout matches the input and that its C has size 3.

    With a wrong layout OpenVINO's preprocessing would reverse a dimension other than the channels.

    Raises:
        ConversionError: the layout does not match.
    """
    shape = model.inputs[0].get_partial_shape()
    fits = shape.rank.is_static and len(layout) == len(shape) == 4 and sorted(layout) == sorted("NCHW")
    channels = shape[layout.index("C")] if fits else None
    if channels is None or channels.is_dynamic or channels.get_length() != 3:
        raise ConversionError(
            "the layout does not match the network's input", where=path,
            expected="four dimensions N, C, H, W, with C of size 3", got=f"{layout} for {shape}",
        )  # fmt: skip
