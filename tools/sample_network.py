"""The sample network in torch: loading, preprocessing, folding of batch norms, evaluation."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from signs import CLASSES, central_crop, network_image, resize
from signs.arrays import Frame
from torch import Tensor, nn

from ov_mobilenet.conversion.architectures.mobilenet_v1 import MobileNetV1

WIDTH_MULTIPLIER = 0.25
MEAN_VALUE = SCALE_VALUE = 127.5
_BATCH_SIZE = 100

Probabilities = npt.NDArray[np.float32]


def new_network() -> MobileNetV1:
    """The sample network with random weights."""
    return MobileNetV1(num_classes=len(CLASSES), width_multiplier=WIDTH_MULTIPLIER)


def load_network(path: Path) -> MobileNetV1:
    """The sample network with the weights of a `.pth`, in inference mode."""
    network = new_network()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def normalised(images: Frame) -> Tensor:
    """Convert uint8 (N, 128, 128, 3) BGR images to the network's float input, (N, 3, 128, 128) RGB."""
    return (raw(images) - MEAN_VALUE) / SCALE_VALUE


def raw(images: Frame) -> Tensor:
    """Convert images to the network's layout and channel order without normalisation: values in 0..255."""
    rgb = np.ascontiguousarray(images[..., ::-1])
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).float()


def probabilities(network: nn.Module, inputs: Tensor) -> Probabilities:
    """Softmax of the network's logits, float32 (N, classes)."""
    with torch.inference_mode():
        parts = [torch.softmax(network(part), dim=1) for part in torch.split(inputs, _BATCH_SIZE)]
    return np.asarray(torch.cat(parts).numpy(), np.float32)


def folded(network: MobileNetV1) -> MobileNetV1:
    """A copy of the network with each batch norm folded into its convolution.

    Modules and keys stay the same: of each batch norm only the bias has an effect. The exported files hold these
    weights.
    """
    result = deepcopy(network).eval()
    with torch.no_grad():
        for convolution, norm in convolutions(result):
            variance, mean = _statistics(norm)
            factor = norm.weight.double() / torch.sqrt(variance.double() + norm.eps)
            convolution.weight.copy_(convolution.weight.double() * factor[:, None, None, None])
            norm.bias.copy_(norm.bias.double() - mean.double() * factor)
            norm.weight.fill_(1)
            mean.zero_()
            variance.fill_(1 - norm.eps)
    return result


def convolutions(network: MobileNetV1) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution with the batch norm that follows it, in the order of execution."""
    modules = list(network.features.modules())
    found = [module for module in modules if isinstance(module, nn.Conv2d)]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    return list(zip(found, norms, strict=True))


def rounded_to_fp16(network: MobileNetV1) -> MobileNetV1:
    """The folded network with its weights rounded to FP16, as in a compressed IR."""
    result = folded(network)
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.copy_(parameter.half())
    return result


@dataclass(frozen=True)
class Evaluation:
    """Results of the network with one way of preprocessing.

    Attributes:
        preprocessing: how the frames were preprocessed.
        top1: fraction of drawings whose most probable class is correct.
        confident: fraction of drawings whose largest probability is above 0.5.
        mean_probability: mean probability of the correct class.
    """

    preprocessing: str
    top1: float
    confident: float
    mean_probability: float


def evaluate(network: MobileNetV1, drawings: Sequence[tuple[Frame, int]]) -> list[Evaluation]:
    """Evaluate the network with correct preprocessing and with the usual mistakes."""
    labels = np.array([class_index for _, class_index in drawings])

    def images(geometry: Callable[[Frame], Frame]) -> Frame:
        return np.stack([geometry(frame) for frame, _ in drawings])

    correct = images(network_image)
    cases = (
        ("correct", network, normalised(correct)),
        ("correct, weights rounded to FP16", rounded_to_fp16(network), normalised(correct)),
        ("channels swapped", network, normalised(correct[..., ::-1])),
        ("no mean, no scale (0..255)", network, raw(correct)),
        ("no mean (0..2)", network, raw(correct) / SCALE_VALUE),
        ("no scale (-127.5..127.5)", network, raw(correct) - MEAN_VALUE),
        ("scaled to 0..1", network, raw(correct) / 255),
        ("whole frame resized, not cropped", network, normalised(images(resize))),
        ("crop 0.75", network, normalised(images(lambda frame: network_image(central_crop(frame))))),
    )
    evaluations = []
    for preprocessing, evaluated, inputs in cases:
        output = probabilities(evaluated, inputs)
        evaluations.append(
            Evaluation(
                preprocessing,
                top1=float(np.mean(output.argmax(axis=1) == labels)),
                confident=float(np.mean(output.max(axis=1) > 0.5)),
                mean_probability=float(output[np.arange(len(labels)), labels].mean()),
            )
        )
    return evaluations


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    variance, mean = norm.running_var, norm.running_mean
    if variance is None or mean is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    return variance, mean
