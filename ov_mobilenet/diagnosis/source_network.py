"""A source network without a description, prepared for a diagnosis."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ov_mobilenet.conversion.architectures import complete_settings
from ov_mobilenet.conversion.inspection import SourceFacts, inspect_source
from ov_mobilenet.conversion.integer_input import accept_pixels
from ov_mobilenet.conversion.loops import check_loops
from ov_mobilenet.conversion.own_network import UserChoices, choose_shape
from ov_mobilenet.conversion.shapes import free_batch, set_shape
from ov_mobilenet.conversion.sources import read_network
from ov_mobilenet.diagnosis.evidence import Moments, StoredStatistics
from ov_mobilenet.diagnosis.input_part import constant_values
from ov_mobilenet.diagnosis.layer_evidence import recorded_statistics
from ov_mobilenet.diagnosis.network import FirstBatchNorm, NetworkUnderTest, compiled
from ov_mobilenet.ir.layout import framework_layout, guess_layout
from ov_mobilenet.ir.ports import find_output, single_input
from ov_mobilenet.ir.probabilities import finish_output
from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
from ov_mobilenet.zoo.geometry import Geometry, resize_whole_image
from ov_mobilenet.zoo.layer_settings import LayerSettings
from ov_mobilenet.zoo.model import HeadActivation, InputInfo
from ov_mobilenet.zoo.normalisation import Normalisation

if TYPE_CHECKING:
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.conversion.sources.weight_matching import MatchedWeights
    from ov_mobilenet.diagnosis.candidates import Candidate
    from ov_mobilenet.diagnosis.layer_diagnosis import LayerDiagnosis
    from ov_mobilenet.diagnosis.network import Values
    from ov_mobilenet.inputs.image_subset import OnProgress

log = logging.getLogger(__name__)

_GRAPH_READERS = ("onnx", "tf")  # OpenVINO's readers keep the batch norms of these


def network_of_source(
    path: Path,
    geometry: Geometry | None = None,
    *,
    architecture: str | None = None,
    weights_key: str | None = None,
    head: HeadActivation | None = None,
    output: str | None = None,
) -> NetworkUnderTest:
    """Prepare a source network of any framework.

    Args:
        architecture, weights_key, head, output: see `inspect_source`.
        geometry: crop and resize; they set the input size of a network that does not fix it itself. None to resize the
            whole image.

    Raises:
        UsageError, ConversionError, MissingDependencyError: see `inspect_source`.
    """
    facts = inspect_source(path, architecture=architecture, weights_key=weights_key, head=head, output=output)
    for warning in facts.warnings:
        log.warning("%s: %s", path, warning)
    return network_of_inspected(facts, geometry, weights_key=weights_key, head=head)


def network_of_inspected(
    facts: SourceFacts,
    geometry: Geometry | None,
    *,
    weights_key: str | None = None,
    head: HeadActivation | None = None,
) -> NetworkUnderTest:
    """Prepare a source network that was inspected; see `network_of_source`. Raises: UsageError, ConversionError."""
    shape = _shape_for(facts, geometry) if geometry is not None else None
    return network_of_facts(facts, UserChoices(shape=shape, geometry=geometry, weights_key=weights_key, head=head))


def _shape_for(facts: SourceFacts, geometry: Geometry) -> tuple[int, ...] | None:
    """The shape of the input if the geometry sets its size; None if the network fixes it itself."""
    layout = guess_layout(facts.shape) or framework_layout(facts.framework)
    sizes = dict(zip(layout, facts.shape, strict=False))
    last = geometry.steps[-1] if geometry.steps else None
    if last is None or last.height is None or last.width is None or min(sizes.get("H", -1), sizes.get("W", -1)) > 0:
        return None
    return tuple({"N": 1, "C": 3, "H": last.height, "W": last.width}[letter] for letter in layout)


def network_of_facts(facts: SourceFacts, choices: UserChoices) -> NetworkUnderTest:
    """Prepare a source network that was inspected. What was noticed while it was read is not logged again.

    Args:
        choices: those for the input's shape, layout and geometry, and for PyTorch weights.

    Raises:
        UsageError: as `choose_shape`.
        ConversionError: the network cannot be read.
    """
    path = facts.folder / facts.network
    layout, shape = choose_shape(facts, choices, [])
    plan = ConversionPlan(
        source=SourceNetwork(root="dl_dir", path=facts.network, folder=facts.is_saved_model),
        input=InputInfo(facts.input_name, shape, layout), output=facts.output, model_name=facts.architecture,
        weights_key=choices.weights_key, head=choices.head, settings=_settings(facts, choices),
        library_network=facts.library_network,
    )  # fmt: skip
    weights = _matched_weights(facts, plan, path)
    model = read_network(facts.framework, plan, path) if weights is None else _traced(weights, plan, path)
    port = single_input(model, "", path)
    if facts.integer_input is not None:
        accept_pixels(model, facts.integer_input, Normalisation(), path)
    model, kind = finish_output(
        find_output(model, facts.output, path), port.get_node(), facts.output_kind, layout, path
    )
    free_batch(model)
    check_loops(model, path)
    set_shape(model, shape, path)
    run = compiled(model, layout)
    return NetworkUnderTest(
        path,
        choices.geometry or resize_whole_image(shape[layout.index("H")], shape[layout.index("W")]),
        kind,
        lambda values: run(values)[0],
        batch_norm=_first_batch_norm(path, facts, plan, layout, weights),
        layers=_layers(path, weights, choices.settings) if weights is not None else None,
    )


def _settings(facts: SourceFacts, choices: UserChoices) -> LayerSettings:
    """All settings of the layers, stated so that weights that match by shape and order only can be read."""
    if facts.framework != "pytorch" or facts.architecture is None:
        return LayerSettings()
    return complete_settings(facts.architecture, choices.settings)


def _matched_weights(facts: SourceFacts, plan: ConversionPlan, path: Path) -> MatchedWeights | None:
    """The weights of a PyTorch checkpoint; None for other networks, and those of timm and transformers."""
    if facts.framework != "pytorch" or facts.library_network is not None:
        return None
    from ov_mobilenet.conversion.sources.pytorch import match_plan

    return match_plan(plan, path)


def _traced(weights: MatchedWeights, plan: ConversionPlan, path: Path) -> ov.Model:
    from ov_mobilenet.conversion.sources.pytorch import trace_weights

    return trace_weights(weights, plan, path)


def _layers(
    path: Path, weights: MatchedWeights, given: LayerSettings
) -> Callable[[NDArray[np.uint8], Candidate, int, OnProgress | None], LayerDiagnosis | None]:
    from ov_mobilenet.diagnosis.layer_diagnosis import diagnose_layers

    open_weights = replace(weights, network=msgspec.structs.replace(weights.network, settings=given))

    def layers(
        frames: NDArray[np.uint8], normalisation: Candidate, seed: int, on_progress: OnProgress | None
    ) -> LayerDiagnosis | None:
        return diagnose_layers(open_weights, path, frames, normalisation, seed=seed, on_progress=on_progress)

    return layers


def _first_batch_norm(
    path: Path, facts: SourceFacts, plan: ConversionPlan, layout: str, weights: MatchedWeights | None
) -> FirstBatchNorm | None:
    found = None
    if facts.framework == "pytorch":
        found = _in_module(path, plan, weights)
    elif facts.framework in _GRAPH_READERS and not path.is_dir():
        try:
            found = _in_graph(path, plan, layout)
        except RuntimeError:  # OpenVINO cannot cut this graph; the conversion itself reports what it cannot read
            found = None
    return found if found is not None and found.stored.is_recorded else None


def _in_module(path: Path, plan: ConversionPlan, weights: MatchedWeights | None) -> FirstBatchNorm | None:
    import torch

    from ov_mobilenet.conversion.sources.pytorch import load_module, load_planned_module

    module = load_module(weights, path) if weights is not None else load_planned_module(plan, path)
    first = next((layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)), None)
    convolution = next((layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d)), None)
    stored = recorded_statistics(first) if first is not None else None
    if stored is None or convolution is None:
        return None

    def moments(values: Values) -> Moments:
        with torch.no_grad():
            flow = convolution(torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))).double()
        return Moments(flow.mean((2, 3)).numpy(), (flow**2).mean((2, 3)).numpy())

    return FirstBatchNorm(stored, moments)


def _in_graph(path: Path, plan: ConversionPlan, layout: str) -> FirstBatchNorm | None:
    """The first BatchNormInference of the graph as OpenVINO reads it, before it is folded.

    Raises:
        RuntimeError: OpenVINO cannot read the graph, or run its part before the batch norm.
    """
    import openvino as ov
    import openvino.opset13 as ops

    model = ov.Core().read_model(path)
    node = next((node for node in model.get_ordered_ops() if node.get_type_name() == "BatchNormInference"), None)
    if node is None:
        return None
    mean_values, variances = (constant_values(node.input_value(number)) for number in (3, 4))
    if mean_values is None or variances is None:
        return None
    stored = StoredStatistics(mean_values.reshape(-1), variances.reshape(-1))
    flow = node.input_value(0)
    # OpenVINO's batch norm has its channels on axis 1.
    mean = ops.reduce_mean(flow, np.array([2, 3]))
    square = ops.reduce_mean(ops.multiply(flow, flow), np.array([2, 3]))
    port = single_input(model, "", path)
    part = ov.Model([mean, square], [port.get_node()], "moments")
    part.reshape(list(plan.input.shape))
    run = compiled(part, layout)

    def moments(values: Values) -> Moments:
        first, second = run(values)
        return Moments(first.astype(np.float64), second.astype(np.float64))

    return FirstBatchNorm(stored, moments)
