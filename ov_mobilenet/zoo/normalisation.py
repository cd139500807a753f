"""The normalisation of a network's input: channel order, mean and scale."""

from __future__ import annotations

from msgspec import Struct

from ov_mobilenet.argument_types import check_types
from ov_mobilenet.errors import UsageError

# Magnitudes outside these limits overflow or underflow in float16 or float32: they are mistakes.
LIMIT = 1e6
LEAST_SCALE = 1e-6


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Normalisation(Struct, frozen=True, kw_only=True):
    """The normalisation of pixels before the network: reverse the channels, then (x - mean) / scale.

    Attributes:
        mean, scale: empty, one number, or three in the channel order of the source network. The magnitude is below
            1e6, that of a scale at least 1e-6.
        reverse_input_channels: whether the first and the last channel are swapped before mean and scale are applied.

    Raises:
        UsageError: mean or scale has another count of numbers, or a number is not finite or out of range.
    """

    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    reverse_input_channels: bool = False

    def __post_init__(self) -> None:
        for name, values, least in (("mean", self.mean, 0.0), ("scale", self.scale, LEAST_SCALE)):
            if not isinstance(values, tuple | list) or not all(map(_is_number, values)) or len(values) not in (0, 1, 3):
                raise UsageError(f"invalid {name}", expected="one number or three, such as 127.5", got=values)
            if not all(least <= abs(value) < LIMIT for value in values):
                limits = f"of at least {least:g} and below {LIMIT:g}" if least else f"below {LIMIT:g}"
                raise UsageError(f"invalid {name}", expected=f"finite numbers with a magnitude {limits}", got=values)

        check_types({"reverse_input_channels": self.reverse_input_channels}, {"reverse_input_channels": "bool"})

    def for_order(self, *, reverse_input_channels: bool) -> Normalisation:
        """This normalisation for a network that takes the given order; each colour keeps its mean and scale."""
        if reverse_input_channels == self.reverse_input_channels:
            return self
        return Normalisation(
            mean=self.mean[::-1], scale=self.scale[::-1], reverse_input_channels=reverse_input_channels
        )

    def __bool__(self) -> bool:
        return bool(self.mean or self.scale or self.reverse_input_channels)

    def __str__(self) -> str:
        parts = ["reverse_input_channels"] * self.reverse_input_channels
        parts += [f"mean_values {list(self.mean)}"] * bool(self.mean)
        parts += [f"scale_values {list(self.scale)}"] * bool(self.scale)
        return ", ".join(parts) or "none"
