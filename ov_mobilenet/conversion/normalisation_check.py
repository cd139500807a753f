"""Compare the normalisation of a description with its accuracy check, and with the one inside the graph."""

from __future__ import annotations

from collections.abc import Sequence

from ov_mobilenet.conversion.inner_normalisation import find_inner_normalisation
from ov_mobilenet.conversion.local_network import LocalNetwork
from ov_mobilenet.conversion.sources.frontend import read_unoptimised
from ov_mobilenet.conversion.sources.onnx_data import data_files
from ov_mobilenet.zoo.accuracy_check import DatasetConfig, NormalizationStep
from ov_mobilenet.zoo.geometry import parse_numbers
from ov_mobilenet.zoo.model import ModelConfig
from ov_mobilenet.zoo.normalisation import Normalisation

_GRAPHS = ("onnx", "tf", "tflite")  # Keras networks are refused or known by their layers


def normalisation_warnings(config: ModelConfig, documented: Normalisation) -> list[str]:
    """Warnings for mean and scale that differ from the accuracy check of the source network.

    Args:
        documented: the normalisation of the `model.yml`.
    """
    dataset = config.accuracy_check.source if config.accuracy_check is not None else None
    if dataset is None:
        return []
    mean, scale = combined_normalisation(dataset)
    warnings = []
    for name, baked, checked, neutral in (
        ("mean_values", documented.mean, mean, 0.0),
        ("scale_values", documented.scale, scale, 1.0),
    ):
        values = (baked or (neutral,)) * (3 if len(baked) <= 1 else 1)
        if any(abs(a - b) > 1e-4 * max(1.0, abs(a)) for a, b in zip(values, checked, strict=True)):
            warnings.append(
                f"{config.name}: {name} {_numbers(values)} from model.yml are baked in; the accuracy check of the "
                f"source network uses {_numbers(checked)}"
            )
    return warnings


def double_normalisation_warnings(network: LocalNetwork) -> list[str]:
    """A warning if mean and scale of a description come on top of a normalisation inside the graph.

    Raises:
        ConversionError: OpenVINO cannot read the network.
    """
    documented = network.plan.normalisation
    if not (documented.mean or documented.scale) or network.framework not in _GRAPHS:
        return []
    beside = data_files(network.path) if network.framework == "onnx" else ()
    inner = find_inner_normalisation(read_unoptimised(network.path, beside))
    if not inner or inner.suits(documented):
        return []
    low, high = inner.values_of(documented)
    return [
        f"{network.config.name}: mean and scale from model.yml come on top of a normalisation inside the graph "
        f"({inner}): pixels 0..255 become {low:.4g}..{high:.4g}"
    ]


def combined_normalisation(dataset: DatasetConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """All normalization steps of a dataset as one mean and one scale per channel.

    ((x - a) / b - c) / d is (x - (a + c b)) / (b d).
    """
    mean: tuple[float, ...] = (0.0,) * 3
    scale: tuple[float, ...] = (1.0,) * 3
    for step in dataset.preprocessing:
        if isinstance(step, NormalizationStep):
            step_mean, step_std = _per_channel(step.mean, 0.0), _per_channel(step.std, 1.0)
            mean = tuple(a + c * b for a, b, c in zip(mean, scale, step_mean, strict=True))
            scale = tuple(b * d for b, d in zip(scale, step_std, strict=True))
    return mean, scale


def _per_channel(value: float | str | tuple[float, ...] | None, neutral: float) -> tuple[float, ...]:
    numbers = (parse_numbers(value) if value is not None else None) or (neutral,)
    return numbers * 3 if len(numbers) == 1 else numbers


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in values) + "]"
