"""Read PyTorch and safetensors weights: load them with `strict=True` into one of the torch modules."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ov_mobilenet.conversion.architectures import check_input_size
from ov_mobilenet.conversion.sources.frontend import run_converter
from ov_mobilenet.conversion.sources.module_state import load_state
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
    if plan.library_network is not None:
        return _trace_module(load_planned_module(plan, path), plan, path)
    matched = match_plan(plan, path)
    for remark in matched.remarks():
        log.warning("%s: %s", path, remark)
    return trace_weights(matched, plan, path)


def trace_weights(matched: MatchedWeights, plan: ConversionPlan, path: Path) -> ov.Model:
    """Trace the module of weights that were matched for a conversion plan.

    Raises:
        ConversionError: see `load_module`; or OpenVINO cannot read the module.
    """
    return _trace_module(load_module(matched, path), plan, path)


def _trace_module(module: torch.nn.Module, plan: ConversionPlan, path: Path) -> ov.Model:
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

    Raises:
        ConversionError: keys, shapes or types differ from those of the module, or a value is not finite.
    """
    from ov_mobilenet.conversion.architectures import build

    return load_state(lambda: build(matched.network), matched.tensors, path)


def load_planned_module(plan: ConversionPlan, path: Path) -> torch.nn.Module:
    """The module of a conversion plan with its weights, in evaluation mode.

    Raises:
        ConversionError, MissingDependencyError: see `match_plan`, `load_module`, `load_library_module`.
    """
    if plan.library_network is None:
        return load_module(match_plan(plan, path), path)
    from ov_mobilenet.conversion.sources.library_weights import load_library_module

    _check_torch(path)
    _, _, height, width = plan.input.shape or DEFAULT_SHAPE
    return load_library_module(plan.library_network, (height, width), path)


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
    _check_torch(path)
    from ov_mobilenet.conversion.sources.weight_matching import match_checkpoint

    matched = match_checkpoint(path, architecture=architecture, weights_key=weights_key, head=head)
    return replace(matched, network=msgspec.structs.replace(matched.network, settings=settings))


def _check_torch(path: Path) -> None:
    """Report a missing torch before anything is read. Raises: MissingDependencyError."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "PyTorch weights require torch", where=path, fix=install_extra("pytorch")
        ) from error
