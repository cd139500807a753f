"""Layout and normalisation of an IR that was made without them, given when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.normalisation import baked_already, check_layout
from ov_mobilenet.errors import AlreadyNormalisedError, UsageError
from ov_mobilenet.zoo.arguments import LEAST_SCALE, NUMBERS_BELOW, Normalisation

if TYPE_CHECKING:
    import openvino as ov


def refuse_second(network: ov.Model, normalisation: Normalisation, xml: Path) -> None:
    """Check the numbers, and that nothing is applied twice.

    Raises:
        AlreadyNormalisedError: a record, ours or the Model Optimizer's, says that it is in the network.
        UsageError: not one number or three, or a scale of 0.
    """
    for name, values, least in (("mean", normalisation.mean, 0.0), ("scale", normalisation.scale, LEAST_SCALE)):
        if len(values) not in (0, 1, 3) or not all(least <= abs(value) < NUMBERS_BELOW for value in values):
            raise UsageError(f"bad {name}", expected="one number or three, such as 127.5; no scale of 0", got=values)
    if found := baked_already(network):
        raise AlreadyNormalisedError(
            "the model is normalised already; what was given would be applied twice",
            where=xml, expected="no mean_values, scale_values, reverse_input_channels", got=found,
            fix="Leave them out: raw pixels are all it needs",
        )  # fmt: skip


def set_layout(network: ov.Model, layout: str, xml: Path) -> None:
    """Say which dimension is which. Raises: ConversionError, it cannot be so."""
    import openvino as ov

    letters = layout.strip("[]").replace(",", "").upper()
    check_layout(network, letters, xml)
    network.get_parameters()[0].layout = ov.Layout(letters)
