"""The folded sample network as NumPy arrays: the input of every exporter."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sample_network import convolutions, folded

from ov_mobilenet.conversion.architectures.mobilenet_v1 import MobileNetV1

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Convolution:
    """A convolution with its batch norm folded in, SAME padding, followed by ReLU6.

    Attributes:
        name: the name in Google's MobileNet V1 graphs, such as `Conv2d_3_depthwise`.
        weight: float32 (outputs, inputs per group, kernel, kernel).
        bias: float32 (outputs,).
        stride: the same in both directions.
        depthwise: whether each channel is convolved separately.
    """

    name: str
    weight: Weights
    bias: Weights
    stride: int
    depthwise: bool

    @property
    def padding(self) -> tuple[int, int]:
        """Rows or columns of padding before and after, equivalent to SAME for the even sizes of this network."""
        if self.weight.shape[2] == 1:
            return 0, 0
        return (1, 1) if self.stride == 1 else (0, 1)


@dataclass(frozen=True)
class Layers:
    """The network: convolutions, global average pooling, fully connected classifier.

    Attributes:
        convolutions: the convolutions in the order of execution.
        weight: the classifier's weight, float32 (classes, features).
        bias: the classifier's bias, float32 (classes,).
    """

    convolutions: tuple[Convolution, ...]
    weight: Weights
    bias: Weights


def layers_of(network: MobileNetV1) -> Layers:
    """Fold the batch norms of a network and extract its layers."""
    found = []
    state = {name: tensor.numpy() for name, tensor in folded(network).state_dict().items()}
    for index, (module, _) in enumerate(convolutions(network)):
        block, pointwise = (index + 1) // 2, index % 2 == 0
        depthwise = index > 0 and not pointwise
        kind = "" if index == 0 else "_depthwise" if depthwise else "_pointwise"
        key = "features.0" if index == 0 else f"features.{block}.conv.{int(pointwise)}"
        found.append(
            Convolution(
                name=f"Conv2d_{block}{kind}",
                weight=state[f"{key}.0.weight"],
                bias=state[f"{key}.1.bias"],
                stride=module.stride[0],
                depthwise=depthwise,
            )
        )
    return Layers(tuple(found), state["classifier.1.weight"], state["classifier.1.bias"])
