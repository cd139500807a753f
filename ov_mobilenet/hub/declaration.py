"""What the configuration of a repository says of its network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.conversion.own_network import UserChoices
from ov_mobilenet.errors import ConfigError, ConversionError
from ov_mobilenet.zoo.library_network import LibraryNetwork
from ov_mobilenet.zoo.normalisation import Normalisation
from ov_mobilenet.zoo.output_kind import OutputContent

_Read = TypeVar("_Read")

CHOOSE_NORMALISATION = "With convert --source, --preset or --mean-values and --scale-values say it"
EXPORT = "Export it to ONNX, and use convert --source FILE.onnx"
CHOOSE_GEOMETRY = "With convert --source, --geometry says how images are cropped and resized"


@dataclass(frozen=True)
class SettledByUser:
    """What options of the user's say; a configuration may then leave it out, or say what is not supported.

    Attributes:
        geometry: whether crop and resize are given.
        normalisation: whether mean and scale are given.
        output_kind: what the output holds; None if it is not given.
    """

    geometry: bool = False
    normalisation: bool = False
    output_kind: OutputContent | None = None


NOTHING_SETTLED = SettledByUser()


def settled_by(choices: UserChoices) -> SettledByUser:
    """What the options of the user's say, so that a configuration need not."""
    return SettledByUser(
        geometry=choices.geometry is not None or choices.preset is not None,
        normalisation=any(value is not None for value in (choices.preset, choices.assume, choices.mean, choices.scale)),
        output_kind=choices.output_kind,
    )


def read_unless_settled(read: Callable[[], _Read], is_settled: bool) -> _Read | None:
    """What a configuration says; None if it cannot be used and the user settles it.

    Raises:
        ConfigError, ConversionError: it cannot be used, and the user does not settle it.
    """
    try:
        return read()
    except (ConfigError, ConversionError):
        if not is_settled:
            raise
        return None


@dataclass(frozen=True)
class RepositoryDeclaration:
    """The content of `config.json` and `preprocessor_config.json`.

    Attributes:
        network: the network of a library that the PyTorch weights belong to.
        output_kind: what its output holds.
        declared: input and labels.
        licence: the licence of the weights; None if it is not stated.
    """

    network: LibraryNetwork
    output_kind: OutputContent
    declared: DeclaredInput
    licence: str | None = None


def pixel_normalisation(mean: tuple[float, ...] | None, std: tuple[float, ...] | None, factor: float) -> Normalisation:
    """The normalisation of pixels 0..255 in RGB that are multiplied by a factor before mean and deviation apply.

    Raises:
        UsageError: a value is not finite or out of range.
    """
    means = tuple(_decimal(value / factor) for value in mean or ())
    scales = tuple(_decimal(value / factor) for value in std or ((1.0,) if factor != 1.0 else ()))
    return Normalisation(mean=means if any(means) else (), scale=scales, reverse_input_channels=True)


def _decimal(value: float) -> float:
    """Without the noise of binary fractions: 0.224 * 255 is 57.12, not 57.120000000000005."""
    return float(f"{value:.10g}")
