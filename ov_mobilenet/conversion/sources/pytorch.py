"""PyTorch state dicts, loaded strictly into our own modules."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.conversion.sources.frontend import run_converter
from ov_mobilenet.errors import ConversionError, MissingDependencyError
from ov_mobilenet.zoo.arguments import ConversionPlan
from ov_mobilenet.zoo.model import ModelConfig

if TYPE_CHECKING:
    import openvino as ov
    import torch

DEFAULT_SHAPE = (1, 3, 224, 224)


def read_pytorch(config: ModelConfig, plan: ConversionPlan, path: Path) -> ov.Model:
    """Read a state dict and trace the module it fits.

    Raises:
        ConversionError: unknown architecture, a checkpoint that is no plain state dict, keys or shapes that differ.
        MissingDependencyError: torch is not installed.
    """
    module = load_module(plan, path)
    import torch

    shape = tuple(max(size, 1) for size in plan.input.shape or DEFAULT_SHAPE)
    with torch.no_grad(), warnings.catch_warnings():
        # Deprecated in torch 2.13, and what OpenVINO itself does with a module by default. torch.export gives the
        # same graph but took 7.7 s instead of 2.1 s for V2 (torch 2.13, OpenVINO 2026.4, AMD EPYC, 1 thread).
        warnings.simplefilter("ignore", DeprecationWarning)
        # Our modules have no data-dependent branch: tracing again to compare, the default, would prove nothing.
        traced = torch.jit.trace(module, torch.zeros(shape), check_trace=False)
        model = run_converter(traced, path, input=[-1, *shape[1:]])
    model.inputs[0].set_names({plan.input.name or "data"})
    model.outputs[0].set_names({plan.output or "prob"})
    return model


def load_module(plan: ConversionPlan, path: Path) -> torch.nn.Module:
    """The module with its weights, ready to infer. Raises: as `read_pytorch`."""
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            "PyTorch weights need torch", where=path, fix="pip install 'ov-mobilenet[pytorch]'"
        ) from error
    from ov_mobilenet.conversion.architectures import build

    state = _load_state(path)
    _check_tensors(state, path)
    shapes = {key: tuple(value.shape) for key, value in state.items() if isinstance(value, torch.Tensor)}
    module = build(plan.model_name or "", shapes)
    _check_state(state, module.state_dict(), path)
    module.load_state_dict(state, strict=True)
    return module.eval()


def _load_state(path: Path) -> dict[str, Any]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch wonders about pickle protocols; what counts is the error below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,  # NotImplementedError among them
        EOFError,
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        IndexError,
        TypeError,
        AssertionError,
        OverflowError,
        MemoryError,
    ) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ConversionError(
            f"the checkpoint cannot be loaded ({reason})",
            where=path,
            expected="a state dict of plain tensors",
            fix="Save the weights alone: torch.save(model.state_dict(), PATH)",
        ) from error
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise ConversionError(
            "the checkpoint is no state dict",
            where=path,
            expected="names and tensors",
            got=type(state).__name__,
            fix="Save the weights alone: torch.save(model.state_dict(), PATH)",
        )
    return state


def _check_tensors(state: dict[str, Any], path: Path) -> None:
    """Refuse tensors that are not plain numbers in memory, before anything is computed with them."""
    import torch

    plain = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)
    for key, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            continue
        kinds = (tensor.layout, tensor.device.type, tensor.dtype)
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.dtype not in plain:
            raise ConversionError(
                f"{key} is no plain tensor", where=path,
                expected="float16, bfloat16, float32 or float64 (int64 for counters), dense, on the CPU",
                got=", ".join(map(str, kinds)),
            )  # fmt: skip
        if 0 in tensor.shape:
            raise ConversionError(f"{key} is empty", where=path, got=list(tensor.shape))
        # A few stored bytes can claim to be any shape (stride 0); the network is built as large as the shapes say.
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ConversionError(f"{key} is larger than what is stored of it", where=path, got=list(tensor.shape))


def _check_state(state: dict[str, Any], wanted: dict[str, torch.Tensor], path: Path) -> None:
    import torch

    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or extra:
        raise ConversionError(
            "the checkpoint does not fit the architecture",
            where=path,
            got=f"missing {_some(missing)}; not known {_some(extra)}",
        )
    for key, tensor in wanted.items():
        given = state[key]
        if not isinstance(given, torch.Tensor):
            raise ConversionError(f"{key} is no tensor", where=path, got=type(given).__name__)
        if given.shape != tensor.shape or given.is_floating_point() != tensor.is_floating_point():
            raise ConversionError(
                f"{key} does not fit the architecture", where=path,
                expected=f"{list(tensor.shape)} {tensor.dtype}", got=f"{list(given.shape)} {given.dtype}",
            )  # fmt: skip
        if given.is_floating_point() and not bool(torch.isfinite(given).all()):
            raise ConversionError(f"{key} holds values that are not finite", where=path)


def _some(keys: list[str]) -> str:
    shown = ", ".join(keys[:5])
    return (shown + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")) or "none"
