"""The table of the zoo's models, from the descriptions in `model_configs/`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from generate_cards import FRAMEWORKS

from ov_mobilenet.cli.options import human_size
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.model import FileSource, ModelConfig

CONFIGS = Path(__file__).resolve().parents[2] / "model_configs"
HEAD = ("Model", "Source", "Input", "GFLOPs", "MParams", "Top-1", "Top-5", "Download")
RULE = ("---", "---", "---", *["---:"] * 5)


def table(folder: str) -> str:
    """The table as Markdown, one row per model.

    Args:
        folder: where the links find the cards: `model_configs`, seen from the page.
    """
    configs = [load_config(path.parent) for path in sorted(CONFIGS.glob("*/model.yml"))]
    return as_table(HEAD, RULE, (_row(config, folder) for config in configs))


def as_table(head: tuple[str, ...], rule: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def _row(config: ModelConfig, folder: str) -> tuple[str, ...]:
    details, published, check = config.details, config.details.accuracy, config.accuracy_check
    # The figures of the model's document, or else the reference of its accuracy check.
    top1 = published.top1 if published else check.reference(1) if check else None
    top5 = published.top5 if published else check.reference(5) if check else None
    size = sum(file.size for file in config.files)
    return (
        f"[{config.name}]({folder}/{config.name}/README.md)",
        FRAMEWORKS.get(config.framework, config.framework),
        "x".join(map(str, config.input_info[0].shape)) if config.input_info else "",
        f"{details.gflops:g}" if details.gflops else "",
        f"{details.mparams:g}" if details.mparams else "",
        _percent(top1),
        _percent(top5),
        "built in" if _is_built_in(config) else human_size(size),
    )


def _is_built_in(config: ModelConfig) -> bool:
    return all(isinstance(file.sources[0], FileSource) for file in config.files)


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.6g} %"
