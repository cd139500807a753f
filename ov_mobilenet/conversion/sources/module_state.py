"""Load a state dict into a torch module with `strict=True`, after its tensors were checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.conversion.sources.key_matching import COUNTER
from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import torch


def load_state(
    build: Callable[[], torch.nn.Module],
    tensors: Mapping[str, Any],
    path: Path,
    architecture: str = "the architecture",
) -> torch.nn.Module:
    """Check the tensors, build a module, and load them into it. The module is in evaluation mode.

    The counters of batch norm are not loaded: inference does not use them, and `half()` converts them to floats.

    Args:
        architecture: what the module is, for messages.

    Raises:
        ConversionError: keys, shapes or types differ from those of the module, or a value is not finite.
    """
    given = {key: tensor for key, tensor in tensors.items() if not key.endswith(COUNTER)}
    _check_tensors(given, path)
    module = build()
    wanted = module.state_dict()
    state = {**given, **{key: tensor for key, tensor in wanted.items() if key.endswith(COUNTER)}}
    _check_state(state, wanted, path, architecture)
    module.load_state_dict(state, strict=True)
    return module.eval()


def _check_tensors(state: Mapping[str, Any], path: Path) -> None:
    """Refuse tensors that are not dense numbers in memory, before they are used."""
    import torch

    plain = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)
    for key, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            continue
        kinds = (tensor.layout, tensor.device.type, tensor.dtype)
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.dtype not in plain:
            raise ConversionError(
                f"{key} is not a plain tensor", where=path,
                expected="float16, bfloat16, float32 or float64 (int64 for counters), dense, on the CPU",
                got=", ".join(map(str, kinds)),
            )  # fmt: skip
        if 0 in tensor.shape:
            raise ConversionError(f"{key} is empty", where=path, got=list(tensor.shape))
        # With stride 0 a few stored bytes can have any shape, and the network is built as large as the shapes.
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ConversionError(f"{key} is larger than its stored data", where=path, got=list(tensor.shape))


def _check_state(state: Mapping[str, Any], wanted: Mapping[str, torch.Tensor], path: Path, architecture: str) -> None:
    import torch

    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or extra:
        raise ConversionError(
            f"the checkpoint does not match {architecture}",
            where=path,
            got=f"missing {_some(missing)}; unexpected {_some(extra)}",
        )
    for key, tensor in wanted.items():
        given = state[key]
        if not isinstance(given, torch.Tensor):
            raise ConversionError(f"{key} is not a tensor", where=path, got=type(given).__name__)
        if given.shape != tensor.shape or given.is_floating_point() != tensor.is_floating_point():
            raise ConversionError(
                f"{key} does not match {architecture}", where=path,
                expected=f"{list(tensor.shape)} {tensor.dtype}", got=f"{list(given.shape)} {given.dtype}",
            )  # fmt: skip
        if given.is_floating_point() and not bool(torch.isfinite(given).all()):
            raise ConversionError(f"{key} holds values that are not finite", where=path)


def _some(keys: list[str]) -> str:
    shown = ", ".join(keys[:5])
    return (shown + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")) or "none"
