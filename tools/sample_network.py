"""The sample network as the tools run it: loading, feeding, folding, judging."""

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
    """The sample network with the weights of a `.pth`, ready to infer."""
    network = new_network()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def normalised(images: Frame) -> Tensor:
    """uint8 (N, 128, 128, 3) BGR images as the network's float input (N, 3, 128, 128) RGB."""
    return (raw(images) - MEAN_VALUE) / SCALE_VALUE


def raw(images: Frame) -> Tensor:
    """Images in the network's layout and channel order, but still 0..255."""
    rgb = np.ascontiguousarray(images[..., ::-1])
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).float()


def probabilities(network: nn.Module, inputs: Tensor) -> Probabilities:
    """Softmax of the network's logits, float32 (N, classes)."""
    with torch.inference_mode():
        parts = [torch.softmax(network(part), dim=1) for part in torch.split(inputs, _BATCH_SIZE)]
    return np.asarray(torch.cat(parts).numpy(), np.float32)


def folded(network: MobileNetV1) -> MobileNetV1:
    """The same function with each batch norm multiplied into its convolution.

    The modules and keys stay; what is left of a batch norm is its bias, and everything else of it does
    nothing. These are the weights that the exported files hold.
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
    """Each convolution with the batch norm behind it, in the order of execution."""
    modules = list(network.features.modules())
    found = [module for module in modules if isinstance(module, nn.Conv2d)]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    return list(zip(found, norms, strict=True))


def rounded_to_fp16(network: MobileNetV1) -> MobileNetV1:
    """The folded network with weights that fit FP16, as a compressed IR holds them."""
    result = folded(network)
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.copy_(parameter.half())
    return result


@dataclass(frozen=True)
class Judgement:
    """How the network does on one way of feeding it.

    Attributes:
        feeding: What was done to the frames.
        top1: Fraction of drawings whose most probable class is the right one.
        confident: Fraction whose largest probability is above 0.5.
        mean_probability: Mean probability of the right class.
    """

    feeding: str
    top1: float
    confident: float
    mean_probability: float


def judge(network: MobileNetV1, drawings: Sequence[tuple[Frame, int]]) -> list[Judgement]:
    """Feed frames rightly and in the usual wrong ways."""
    labels = np.array([class_index for _, class_index in drawings])

    def images(geometry: Callable[[Frame], Frame]) -> Frame:
        return np.stack([geometry(frame) for frame, _ in drawings])

    right = images(network_image)
    cases = (
        ("right", network, normalised(right)),
        ("right, weights rounded to FP16", rounded_to_fp16(network), normalised(right)),
        ("channels swapped", network, normalised(right[..., ::-1])),
        ("no mean, no scale (0..255)", network, raw(right)),
        ("no mean (0..2)", network, raw(right) / SCALE_VALUE),
        ("no scale (-127.5..127.5)", network, raw(right) - MEAN_VALUE),
        ("scaled to 0..1", network, raw(right) / 255),
        ("whole frame resized, not cropped", network, normalised(images(resize))),
        ("crop 0.75", network, normalised(images(lambda frame: network_image(central_crop(frame))))),
    )
    judgements = []
    for feeding, fed, inputs in cases:
        output = probabilities(fed, inputs)
        judgements.append(
            Judgement(
                feeding,
                top1=float(np.mean(output.argmax(axis=1) == labels)),
                confident=float(np.mean(output.max(axis=1) > 0.5)),
                mean_probability=float(output[np.arange(len(labels)), labels].mean()),
            )
        )
    return judgements


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    variance, mean = norm.running_var, norm.running_mean
    if variance is None or mean is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    return variance, mean
