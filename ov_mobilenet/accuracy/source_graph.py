"""Facts about a source network that its outputs alone do not show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.zoo.arguments import ConversionPlan
    from ov_mobilenet.zoo.model import ModelConfig
    from ov_mobilenet.zoo.output_kind import OutputContent


def graph_facts(config: ModelConfig, plan: ConversionPlan, path: Path) -> tuple[OutputContent, bool]:
    """Return what the output of the graph holds, and whether the graph is quantised.

    The output values alone cannot show it: logits can lie in [0, 1].
    """
    from ov_mobilenet.conversion.sources import network_framework, read_network
    from ov_mobilenet.ir.layout import framework_layout, guess_layout
    from ov_mobilenet.ir.output_content import output_facts
    from ov_mobilenet.ir.ports import find_output

    declared = config.details.output
    if config.framework == "pytorch":
        return declared or "logits", False  # the modules of this package all end in a linear layer
    network = read_network(network_framework(config, path), plan, path)
    layout = plan.input.layout or guess_layout(plan.input.shape) or framework_layout(config.framework)
    output = find_output(network, plan.output, path)
    return output_facts(output, declared, layout, path).content, _is_quantised(network)


def not_covered(config: ModelConfig, plan: ConversionPlan, path: Path) -> str | None:
    """Describe the properties that a verification does not cover; None if there are none.

    A state dict whose keys come from another library, or whose layers are described, is loaded into the same module of
    ov-mobilenet for the IR and for the reference. Only its keys show which padding it was trained with.
    """
    from ov_mobilenet.conversion.sources.pytorch import match_plan

    if config.framework != "pytorch" or plan.library_network is not None:
        return None
    if not (plan.settings or match_plan(plan, path).key_mapping):
        return None
    return "padding, activations and batch-norm epsilon: both networks take them from ov-mobilenet's own PyTorch module"


def _is_quantised(network: ov.Model) -> bool:
    """Whether activations or weights are quantised; with quantised weights alone, LiteRT quantises activations too.

    ONNX's dynamic quantisation computes the range of each activation and converts it to integers.
    """
    import openvino as ov

    small = (ov.Type.i8, ov.Type.u8, ov.Type.i4, ov.Type.u4)
    for operation in network.get_ops():
        kind = operation.get_type_name()
        if kind == "FakeQuantize":
            return True
        if (
            kind == "Convert"
            and operation.get_element_type() in small
            and operation.input(0).get_element_type().is_real()
        ):
            return True
        if kind == "Constant" and operation.get_element_type() in small and len(operation.get_output_shape(0)) > 1:
            return True
    return False


def as_probabilities(answer: NDArray[np.float32], content: OutputContent) -> NDArray[np.float32]:
    """Return the source network's answer as the IR gives it: probabilities, or features as they are.

    Args:
        answer: all values of the output, flattened.
        content: what the output holds.
    """
    import numpy as np

    values = answer.astype(np.float64)
    if content == "features":
        return answer
    if content == "logits" and values.size == 1:
        content = "logit"  # PyTorch weights whose description states no output are taken for logits
    if content == "logit" or content == "multilabel-logits":
        values = np.exp(-np.logaddexp(0, -values))  # the sigmoid, without overflow
    if content in ("logit", "probability"):
        values = np.array([1 - values[0], values[0]])
    # If the conversion overlooked a softmax, it would be applied twice in the IR, and here as well, so the error would
    # not be detected. Therefore values that sum to 1 are left as they are, whatever the graph seems to end in.
    sums_to_one = values.min() >= 0.0 and abs(values.sum() - 1.0) < 1e-3
    if content == "logits" and not sums_to_one:
        exponentials = np.exp(values - values.max())
        values = exponentials / exponentials.sum()
    return values.astype(np.float32)


def pooled(answer: NDArray[np.float32], channels: int, layout: str) -> NDArray[np.float32]:
    """Return a feature map, flattened, averaged over height and width: float32 (channels,).

    Args:
        layout: layout of the network's input, which the map has too.
    """
    grid = answer.reshape(channels, -1) if layout == "NCHW" else answer.reshape(-1, channels).T
    means: NDArray[np.float32] = grid.mean(axis=1)
    return means
