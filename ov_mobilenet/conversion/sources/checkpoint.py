"""Read the state dicts of PyTorch and safetensors files without running code from them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ov_mobilenet.conversion.sources.checkpoint_types import harmless_types
from ov_mobilenet.errors import ConversionError, MissingDependencyError, install_extra

SAVE_AGAIN = "Save only the weights: torch.save(model.state_dict(), PATH)"
MAX_DEPTH = 4


@dataclass(frozen=True)
class StateDict:
    """One state dict of a checkpoint.

    Attributes:
        where: the keys of the entry, joined by dots; empty for the file itself.
        tensors: the stored values by key; not all of them need to be tensors.
        in_order: whether the keys are in the order in which the module defines them.
    """

    where: str
    tensors: Mapping[str, Any]
    in_order: bool


def read_state_dicts(path: Path) -> list[StateDict]:
    """Read all state dicts of a checkpoint: the file itself, or entries such as `state_dict`, `model`, `model_ema`.

    Raises:
        ConversionError: the file is broken, could only be loaded by running code from it, or holds no weights.
        MissingDependencyError: safetensors is not installed.
    """
    if path.suffix.lower() == ".safetensors":
        return [StateDict("", _load_safetensors(path), in_order=False)]
    content = _load_pickle(path)
    found = list(_state_dicts(content, ""))
    if not found:
        is_mapping = isinstance(content, Mapping) and content
        raise ConversionError(
            "the checkpoint is not a state dict", where=path, expected="names and tensors",
            got="entries " + ", ".join(map(repr, list(content)[:8])) if is_mapping else type(content).__name__,
            fix=SAVE_AGAIN,
        )  # fmt: skip
    return found


def _load_pickle(path: Path) -> Any:
    import torch

    try:
        with harmless_types(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about pickle protocols; only errors matter
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise _unloadable(path, error) from error


def _unloadable(path: Path, error: Exception) -> ConversionError:
    text = str(error).strip()
    if match := re.search(r"GLOBAL (\S+)", text):
        reason = f"loading it would run code of {match[1]}"
    elif "TorchScript" in text:
        reason = "it is a TorchScript program, not a state dict"
    elif "weights_only" in text:  # torch advises to load it unsafely; the cause follows below
        cause = re.search(r"WeightsUnpickler error:\s*(.+)", text)
        reason = f"as weights only: {cause[1][:200]}" if cause else "not as weights only"
    else:
        reason = text.splitlines()[0][:200] if text else type(error).__name__
    return ConversionError(
        f"the checkpoint cannot be loaded ({reason})",
        where=path,
        expected="a state dict of plain tensors",
        fix=SAVE_AGAIN,
    )


def _load_safetensors(path: Path) -> dict[str, Any]:
    try:
        import safetensors
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingDependencyError(
            "safetensors files require the package safetensors",
            where=path,
            fix=install_extra("pytorch"),
        ) from error
    try:
        tensors: dict[str, Any] = load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConversionError(f"the safetensors file cannot be loaded ({error})", where=path) from error
    return tensors


def _state_dicts(value: Any, where: str, depth: int = 0) -> Iterator[StateDict]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value) or depth > MAX_DEPTH:
        return
    if _holds_convolutions(value):
        # Lightning and others store counters and names beside the tensors.
        kept = {k: v for k, v in value.items() if not isinstance(v, Mapping | int | float | str | None)}
        yield StateDict(where, kept, in_order=True)
        return
    for key, inner in value.items():
        yield from _state_dicts(inner, f"{where}.{key}" if where else key, depth + 1)


def _holds_convolutions(value: Mapping[str, Any]) -> bool:
    return any(getattr(tensor, "ndim", None) == 4 for tensor in value.values())
