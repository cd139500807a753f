"""PyTorch and safetensors weights, loaded strictly into our own modules."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.conversion.sources.frontend import run_converter
from ov_mobilenet.conversion.sources.key_matching import COUNTER
from ov_mobilenet.errors import ConversionError, MissingDependencyError
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import openvino as ov
    import torch

    from ov_mobilenet.conversion.sources.fitting import Fit

log = logging.getLogger(__name__)

DEFAULT_SHAPE = (1, 3, 224, 224)


def read_pytorch(plan: ConversionPlan, path: Path) -> ov.Model:
    """Read a state dict and trace the module it fits.

    Raises:
        ConversionError: unknown architecture, a checkpoint that is no plain state dict, keys or shapes that differ.
        MissingDependencyError: torch is not installed.
    """
    fitted = fit_plan(plan, path)
    for remark in fitted.remarks():
        log.warning("%s: %s", path, remark)
    module = load_module(fitted, path)
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


def fit_plan(plan: ConversionPlan, path: Path) -> Fit:
    """The weights as a description asks for them. Raises: as `fit_weights`."""
    return fit_weights(path, architecture=plan.model_name or "", where=plan.weights_key)


def load_module(fitted: Fit, path: Path) -> torch.nn.Module:
    """The module with its weights, ready to infer.

    Batch norm's counters are the module's own: nothing infers with them, and `half()` makes floats of them.

    Raises:
        ConversionError: keys, shapes or values that are not those of the module.
    """
    from ov_mobilenet.conversion.architectures import build

    given = {key: tensor for key, tensor in fitted.tensors.items() if not key.endswith(COUNTER)}
    _check_tensors(given, path)
    module = build(fitted.network)
    wanted = module.state_dict()
    state = {**given, **{key: tensor for key, tensor in wanted.items() if key.endswith(COUNTER)}}
    _check_state(state, wanted, path)
    module.load_state_dict(state, strict=True)
    return module.eval()


def fit_weights(path: Path, *, architecture: str | None = None, where: str | None = None) -> Fit:
    """The weights of a checkpoint, and which network they are of; see `fitting.fit_checkpoint`.

    Raises:
        ConversionError: nothing fits, or more than one thing.
        MissingDependencyError: torch is not installed.
    """
    try:
        import torch  # noqa: F401 (said here what is missing, before anything is read)
    except ImportError as error:
        raise MissingDependencyError(
            "PyTorch weights need torch", where=path, fix="pip install 'ov-mobilenet[pytorch]'"
        ) from error
    from ov_mobilenet.conversion.sources.fitting import fit_checkpoint

    return fit_checkpoint(path, architecture=architecture, where=where)


def _check_tensors(state: Mapping[str, Any], path: Path) -> None:
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


def _check_state(state: Mapping[str, Any], wanted: Mapping[str, torch.Tensor], path: Path) -> None:
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
