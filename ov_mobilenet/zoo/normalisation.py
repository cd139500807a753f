"""The normalisation of a network: channel order, mean and scale."""

from __future__ import annotations

from msgspec import Struct

from ov_mobilenet.errors import UsageError

# Values at or beyond this limit overflow in float16 or float32 and are a mistake.
LIMIT = 1e6
LEAST_SCALE = 1e-6


class Normalisation(Struct, frozen=True, kw_only=True):
    """What is done to each pixel before the network: (x - mean) / scale.

    Attributes:
        mean, scale: empty, or one or three numbers in the channel order of the source network; below 1e6 in size, a
            scale at least 1e-6.
        reverse_input_channels: the first and last channel are swapped before mean and scale are applied.

    Raises:
        UsageError: not one number or three, not finite, too large, or a scale of 0.
    """

    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    reverse_input_channels: bool = False

    def __post_init__(self) -> None:
        for name, values, least in (("mean", self.mean, 0.0), ("scale", self.scale, LEAST_SCALE)):
            if len(values) not in (0, 1, 3):
                raise UsageError(f"bad {name}", expected="one number or three, such as 127.5", got=values)
            if not all(least <= abs(value) < LIMIT for value in values):
                limits = f"below {LIMIT:g}" + (f" and at least {least:g} in size, not 0" if least else "")
                raise UsageError(f"bad {name}", expected=f"finite numbers {limits}", got=values)

    def __bool__(self) -> bool:
        return bool(self.mean or self.scale or self.reverse_input_channels)

    def __str__(self) -> str:
        parts = ["reverse_input_channels"] * self.reverse_input_channels
        parts += [f"mean_values {list(self.mean)}"] * bool(self.mean)
        parts += [f"scale_values {list(self.scale)}"] * bool(self.scale)
        return ", ".join(parts) or "none"
