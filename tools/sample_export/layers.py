"""The folded sample network as plain arrays: what every writer starts from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sample_network import convolutions, folded

from ov_mobilenet.conversion.architectures.mobilenet_v1 import MobileNetV1

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Convolution:
    """A convolution with its batch norm folded in; padding is SAME and ReLU6 follows.

    Attributes:
        name: As Google's MobileNet V1 graphs call it, such as `Conv2d_3_depthwise`.
        weight: float32 (outputs, inputs per group, kernel, kernel).
        bias: float32 (outputs,).
        stride: In both directions.
        depthwise: Whether each channel is convolved by itself.
    """

    name: str
    weight: Weights
    bias: Weights
    stride: int
    depthwise: bool

    @property
    def padding(self) -> tuple[int, int]:
        """Rows or columns before and after: what SAME comes to for the even sizes of this network."""
        if self.weight.shape[2] == 1:
            return 0, 0
        return (1, 1) if self.stride == 1 else (0, 1)


@dataclass(frozen=True)
class Layers:
    """The network: its convolutions, then a global average, then a classifier.

    Attributes:
        convolutions: In the order of execution.
        weight: Of the classifier, float32 (classes, features).
        bias: Of the classifier, float32 (classes,).
    """

    convolutions: tuple[Convolution, ...]
    weight: Weights
    bias: Weights


def layers_of(network: MobileNetV1) -> Layers:
    """Fold a network and take it apart."""
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
