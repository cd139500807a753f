"""What a state dict does not hold: the activation, the padding and the epsilon of the batch norms of a MobileNet."""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

from ov_mobilenet.errors import UsageError

Activation = Literal["relu", "relu6", "leaky-relu-0.1", "leaky-relu-0.01", "hardswish"]
Padding = Literal["torch", "same"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
PADDINGS: tuple[Padding, ...] = get_args(Padding)


class LayerSettings(Struct, frozen=True, kw_only=True):
    """Settings of the layers of a network; None for what its architecture was published with.

    Attributes:
        activation: replaces ReLU and ReLU6. The h-swish of MobileNetV3 and its squeeze-and-excite stay as they are.
        padding: of convolutions with stride 2. `torch` pads all four sides by half of the kernel; `same`, TensorFlow's
            SAME, pads right and bottom more, for an input whose height and width are multiples of 32.
        batch_norm_epsilon: the number that is added to the variance, above 0 and below 1.

    Raises:
        UsageError: a value is invalid.
    """

    activation: Activation | None = None
    padding: Padding | None = None
    batch_norm_epsilon: float | None = None

    def __post_init__(self) -> None:
        for name, value, known in (("activation", self.activation, ACTIVATIONS), ("padding", self.padding, PADDINGS)):
            if value is not None and value not in known:
                raise UsageError(f"invalid {name}", expected=" or ".join(known), got=repr(value))
        if self.batch_norm_epsilon is not None and not 0 < self.batch_norm_epsilon < 1:  # NaN neither
            raise UsageError(
                "invalid batch_norm_epsilon", expected="a number above 0 and below 1", got=self.batch_norm_epsilon
            )

    def __bool__(self) -> bool:
        return self != LayerSettings()
