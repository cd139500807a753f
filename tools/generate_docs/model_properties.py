"""How each model of the zoo is fed and what it gives: the tables of the page Models."""

from __future__ import annotations

from urllib.parse import urlsplit

from generate_docs.models import CONFIGS, as_table

from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.geometry import channel_order, geometry_of_dataset
from ov_mobilenet.zoo.model import ModelConfig

INPUT = ("Model", "Channels", "Mean", "Scale", "Crop and resize")
OUTPUT = ("Model", "Output", "Classes", "Licence")


def inputs() -> str:
    """Normalisation and geometry as a table, one row per model, with links to the cards on the site."""
    return as_table(INPUT, ("---",) * 5, map(_input, _configs()))


def outputs() -> str:
    """Output and licence as a table."""
    return as_table(OUTPUT, ("---", "---", "---:", "---"), map(_output, _configs()))


def _configs() -> list[ModelConfig]:
    return [load_config(path.parent) for path in sorted(CONFIGS.glob("*/model.yml"))]


def _input(config: ModelConfig) -> tuple[str, ...]:
    check, normalisation = config.accuracy_check, plan_conversion(config).normalisation
    pixels = channel_order(check.converted) if check and check.converted else "BGR"
    geometry = geometry_of_dataset(config.dataset) if config.dataset else None
    return (
        f"[{config.name}](../models/{config.name}.md)",
        # Those of the source network: after the swap, if there is one.
        pixels[::-1] if normalisation.reverse_input_channels else pixels,
        _numbers(normalisation.mean),
        _numbers(normalisation.scale),
        f"`{geometry}`" if geometry is not None else "resize to the input size",
    )


def _output(config: ModelConfig) -> tuple[str, ...]:
    return (
        f"[{config.name}](../models/{config.name}.md)",
        config.details.output or "",
        str(config.details.classes or ""),
        f"[{_owner(config.license)}]({config.license})",
    )


def _numbers(values: tuple[float, ...]) -> str:
    distinct = values[:1] if len(set(values)) == 1 else values
    return ", ".join(f"{value:g}" for value in distinct) or "none"


def _owner(licence: str) -> str:
    """Whose licence it is, from its URL: owner and repository on GitHub, or the host."""
    parts = urlsplit(licence)
    return "/".join(parts.path.split("/")[1:3]) if "github" in parts.netloc else parts.netloc.removeprefix("www.")
