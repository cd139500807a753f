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


def graph_facts(config: ModelConfig, plan: ConversionPlan, path: Path) -> tuple[bool, bool]:
    """Return whether the graph ends in softmax, and whether it is quantised.

    The output values alone cannot show it: logits can lie in [0, 1].
    """
    from ov_mobilenet.conversion.sources import network_framework, read_network
    from ov_mobilenet.ir.ports import find_output
    from ov_mobilenet.ir.probabilities import ends_in_softmax

    if config.framework == "pytorch":
        return False, False  # the modules of this package all end in logits
    network = read_network(network_framework(config, path), plan, path)
    return ends_in_softmax(find_output(network, plan.output, path)), _is_quantised(network)


def not_covered(config: ModelConfig, plan: ConversionPlan, path: Path) -> str | None:
    """Describe the properties that a verification does not cover; None if there are none.

    A state dict whose keys come from another library is loaded into the same module of ov-mobilenet for the IR and for
    the reference. Only its keys show which padding it was trained with.
    """
    from ov_mobilenet.conversion.sources.pytorch import match_plan

    if config.framework != "pytorch" or not match_plan(plan, path).key_mapping:
        return None
    return "padding, activations and batch-norm epsilon: both networks take them from ov-mobilenet's own PyTorch module"


def _is_quantised(network: ov.Model) -> bool:
    """Whether activations or weights are quantised; with quantised weights alone, LiteRT quantises activations too."""
    import openvino as ov

    small = (ov.Type.i8, ov.Type.u8, ov.Type.i4, ov.Type.u4)
    for operation in network.get_ops():
        kind = operation.get_type_name()
        if kind == "FakeQuantize":
            return True
        if kind == "Constant" and operation.get_element_type() in small and len(operation.get_output_shape(0)) > 1:
            return True
    return False


def as_probabilities(answer: NDArray[np.float32], *, probabilities: bool) -> NDArray[np.float32]:
    """Return the source network's answer as probabilities, applying softmax where needed.

    Args:
        probabilities: whether the graph ends in softmax.
    """
    import numpy as np

    values = answer.astype(np.float64)
    # If the conversion overlooked a softmax, it would be applied twice in the IR, and here as well, so the error would
    # not be detected. Therefore values that sum to 1 are left as they are, whatever the graph seems to end in.
    sums_to_one = values.min() >= 0.0 and abs(values.sum() - 1.0) < 1e-3
    if not probabilities and not sums_to_one:
        exponentials = np.exp(values - values.max())
        values = exponentials / exponentials.sum()
    return values.astype(np.float32)
