"""Read PyTorch and safetensors weights: load them with `strict=True` into one of the torch modules."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ov_mobilenet.conversion.architectures import check_input_size
from ov_mobilenet.conversion.sources.frontend import run_converter
from ov_mobilenet.conversion.sources.key_matching import COUNTER
from ov_mobilenet.conversion.unknown_layers import check_layers_known
from ov_mobilenet.errors import ConversionError, MissingDependencyError, install_extra
from ov_mobilenet.zoo.arguments import ConversionPlan
from ov_mobilenet.zoo.layer_settings import LayerSettings

if TYPE_CHECKING:
    import openvino as ov
    import torch

    from ov_mobilenet.conversion.sources.weight_matching import MatchedWeights

log = logging.getLogger(__name__)

DEFAULT_SHAPE = (1, 3, 224, 224)


def read_pytorch(plan: ConversionPlan, path: Path) -> ov.Model:
    """Read a state dict and trace its module.

    Raises:
        ConversionError: unknown architecture, not a plain state dict, or keys or shapes that differ.
        MissingDependencyError: torch is not installed.
    """
    matched = match_plan(plan, path)
    for remark in matched.remarks():
        log.warning("%s: %s", path, remark)
    return trace_weights(matched, plan, path)


def trace_weights(matched: MatchedWeights, plan: ConversionPlan, path: Path) -> ov.Model:
    """Trace the module of weights that were matched for a conversion plan.

    Raises:
        ConversionError: see `load_module`; or OpenVINO cannot read the module.
    """
    module = load_module(matched, path)
    import torch

    shape = tuple(max(size, 1) for size in plan.input.shape or DEFAULT_SHAPE)
    with torch.no_grad(), warnings.catch_warnings():
        # torch.jit.trace is deprecated in torch 2.13, but it is what OpenVINO uses by default. torch.export gives the
        # same graph and took 7.7 s instead of 2.1 s for V2 (torch 2.13, OpenVINO 2026.4, AMD EPYC, 1 thread).
        warnings.simplefilter("ignore", DeprecationWarning)
        # The modules have no data-dependent branches, so the default check by a second trace is not needed.
        traced = torch.jit.trace(module, torch.zeros(shape), check_trace=False)
        model = run_converter(traced, path, input=[-1, *shape[1:]])
    model.inputs[0].set_names({plan.input.name or "data"})
    model.outputs[0].set_names({plan.output or "prob"})
    return model


def match_plan(plan: ConversionPlan, path: Path) -> MatchedWeights:
    """The weights for a conversion plan.

    Raises:
        ConversionError: the keys match by shape and order only, and the plan does not give the activation; the padding
            is SAME and not exact for the plan's input shape; or see `match_weights`.
        MissingDependencyError: torch is not installed.
    """
    matched = match_weights(
        path, architecture=plan.model_name or "", weights_key=plan.weights_key, head=plan.head, settings=plan.settings
    )
    architecture, settings = matched.network.architecture, plan.settings
    check_layers_known(architecture, matched.other_keys, settings, ConversionError, path, is_described=True)
    check_input_size(architecture, settings, plan.input.shape or DEFAULT_SHAPE, ConversionError, path)
    return matched


def load_module(matched: MatchedWeights, path: Path) -> torch.nn.Module:
    """The module with its weights, in evaluation mode.

    The counters of batch norm are not loaded: inference does not use them, and `half()` converts them to floats.

    Raises:
        ConversionError: keys, shapes or types differ from those of the module, or a value is not finite.
    """
    from ov_mobilenet.conversion.architectures import build

    given = {key: tensor for key, tensor in matched.tensors.items() if not key.endswith(COUNTER)}
    _check_tensors(given, path)
    module = build(matched.network)
    wanted = module.state_dict()
    state = {**given, **{key: tensor for key, tensor in wanted.items() if key.endswith(COUNTER)}}
    _check_state(state, wanted, path)
    module.load_state_dict(state, strict=True)
    return module.eval()


def match_weights(
    path: Path,
    *,
    architecture: str | None = None,
    weights_key: str | None = None,
    head: str | None = None,
    settings: LayerSettings = LayerSettings(),  # noqa: B008 (frozen)
) -> MatchedWeights:
    """Find the weights of a checkpoint and their module; see `weight_matching.match_checkpoint`.

    Args:
        settings: of the layers of the module.

    Raises:
        ConversionError: no entry matches, or several do.
        MissingDependencyError: torch is not installed.
    """
    try:
        import torch  # noqa: F401 (report the missing package before anything is read)
    except ImportError as error:
        raise MissingDependencyError(
            "PyTorch weights require torch", where=path, fix=install_extra("pytorch")
        ) from error
    from ov_mobilenet.conversion.sources.weight_matching import match_checkpoint

    matched = match_checkpoint(path, architecture=architecture, weights_key=weights_key, head=head)
    return replace(matched, network=msgspec.structs.replace(matched.network, settings=settings))


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


def _check_state(state: Mapping[str, Any], wanted: Mapping[str, torch.Tensor], path: Path) -> None:
    import torch

    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or extra:
        raise ConversionError(
            "the checkpoint does not match the architecture",
            where=path,
            got=f"missing {_some(missing)}; unexpected {_some(extra)}",
        )
    for key, tensor in wanted.items():
        given = state[key]
        if not isinstance(given, torch.Tensor):
            raise ConversionError(f"{key} is not a tensor", where=path, got=type(given).__name__)
        if given.shape != tensor.shape or given.is_floating_point() != tensor.is_floating_point():
            raise ConversionError(
                f"{key} does not match the architecture", where=path,
                expected=f"{list(tensor.shape)} {tensor.dtype}", got=f"{list(given.shape)} {given.dtype}",
            )  # fmt: skip
        if given.is_floating_point() and not bool(torch.isfinite(given).all()):
            raise ConversionError(f"{key} holds values that are not finite", where=path)


def _some(keys: list[str]) -> str:
    shown = ", ".join(keys[:5])
    return (shown + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")) or "none"
