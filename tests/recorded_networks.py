"""MobileNets with random weights whose batch norms recorded images in training mode, as an oracle.

Activation, padding and epsilon are set here by hand, without the settings under test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from ov_mobilenet.conversion.architectures import MobileNetSpec, build
from ov_mobilenet.conversion.sources.weight_matching import MatchedWeights
from ov_mobilenet.diagnosis.candidates import Candidate

SIDE = 96
TENSORFLOW = Candidate(name="tensorflow", channel_order="RGB", mean=(127.5,), scale=(127.5,))
SPECS = {
    "v1": MobileNetSpec(architecture="mobilenet_v1", width=0.25, classes=20),
    "v2": MobileNetSpec(architecture="mobilenet_v2", width=0.35, classes=20),
    "v3": MobileNetSpec(architecture="mobilenet_v3_small", width=0.5, classes=20, hidden=512),
}


@dataclass(frozen=True)
class Recorded:
    """A network with recorded statistics.

    Attributes:
        module: the oracle, in evaluation mode.
        matched: its weights, as they are found in a checkpoint.
    """

    module: nn.Module
    matched: MatchedWeights

    def outputs(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The true logits."""
        return run(self.module, images)


def natural_images(count: int, seed: int, *, slope: float = 1.3, contrast: float = 55.0) -> NDArray[np.uint8]:
    """Noise with the spectrum of photographs (amplitude falls with frequency), different in colour and contrast."""
    generator = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    amplitude = 1 / np.maximum(frequency, 1 / SIDE) ** slope
    noise = np.fft.irfft2(
        np.fft.rfft2(generator.standard_normal((count, 3, SIDE, SIDE))) * amplitude, s=(SIDE, SIDE)
    )  # fmt: skip
    noise[:, 1:] = 0.7 * noise[:, :1] + 0.5 * noise[:, 1:]
    noise /= noise.std((2, 3), keepdims=True)
    level = generator.uniform(70, 180, (count, 3, 1, 1))
    strength = contrast * generator.uniform(0.5, 1.5, (count, 1, 1, 1))
    pixels = np.clip(level + strength * noise, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def recorded(
    kind: str,
    images: NDArray[np.uint8],
    *,
    activation: Callable[[], nn.Module] | None = None,
    padding: str | None = None,
    epsilon: float | None = None,
    everywhere: bool = False,
    change: Callable[[nn.Module], None] | None = None,
    seed: int = 0,
) -> Recorded:
    """Make a network and let its batch norms record images, the cumulative average of batches of 20.

    Args:
        everywhere: replace the h-swish of V3 as well.
        change: a further change of the module before the statistics are recorded.
    """
    torch.manual_seed(seed)
    module = build(SPECS[kind])
    _randomise(module)
    features = module.get_submodule("features")
    kinds = (nn.ReLU, nn.ReLU6, nn.Hardswish) if everywhere else (nn.ReLU, nn.ReLU6)
    if activation is not None:
        _replace(features, kinds, activation)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = epsilon if epsilon is not None else layer.eps
            layer.momentum = None
            layer.reset_running_stats()
    if padding is not None:
        _pad(features, padding)
    if change is not None:
        change(module)
    module.train()
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.eval()
    with torch.no_grad():
        for start in range(0, len(images), 20):
            module(values_of(images[start : start + 20]))
    module.eval()
    with torch.no_grad():
        _scale_head(module, images)
    tensors = {key.replace(".inner.", "."): tensor.clone() for key, tensor in module.state_dict().items()}
    return Recorded(module, MatchedWeights(SPECS[kind], "", tensors, {}))


def run(module: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The logits of a module."""
    with torch.no_grad():
        parts = [module(values_of(images[start : start + 20])).double() for start in range(0, len(images), 20)]
    outputs: NDArray[np.float64] = torch.cat(parts).numpy()
    return outputs


def values_of(images: NDArray[np.uint8]) -> torch.Tensor:
    """Pixels as the network takes them: RGB, -1..1, channels first."""
    planes = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2))
    return torch.from_numpy(planes).float() / 127.5 - 1


class UnequalPReLU(nn.Module):  # type: ignore[misc, unused-ignore]
    """A PReLU with another slope for each channel, none of which is in the state dict."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the slopes 0.05 to 0.4."""
        return functional.prelu(x, torch.linspace(0.05, 0.4, x.shape[1]))


def first_stride_1(module: nn.Module) -> None:
    """Let the first convolution keep the size, as networks for small images do."""
    first = next(layer for layer in module.modules() if isinstance(layer, nn.Conv2d))
    first.stride, first.padding = (1, 1), (1, 1)


class PaddedConv2d(nn.Module):  # type: ignore[misc, unused-ignore]
    """A convolution with stride 2 after zeros at left, right, top and bottom, computed from the size of the input."""

    def __init__(self, inner: nn.Conv2d, padding: str) -> None:
        super().__init__()
        inner.padding = (0, 0)
        self.inner, self.padding = inner, padding

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad and convolve (N, C, H, W)."""
        kernel = self.inner.kernel_size[0]
        before = after = kernel // 2
        if self.padding == "same":  # TensorFlow: ceil(size / 2) windows, the odd zero at the end
            missing = max((-(-x.shape[2] // 2) - 1) * 2 + kernel - x.shape[2], 0)
            before, after = missing // 2, missing - missing // 2
        padded = functional.pad(x, (before, after, before, after))
        weight = self.inner.weight
        return functional.conv2d(padded, weight, stride=2, groups=self.inner.groups)


def _randomise(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2.5)
            nn.init.uniform_(layer.bias, -1.0, 1.5)
        elif isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in")
            # Trained weights are small, so that variances are near epsilon.
            layer.weight.data *= float(torch.empty(1).uniform_(0.03, 0.3))


def _scale_head(module: nn.Module, images: NDArray[np.uint8]) -> None:
    """Make the logits differ between images, as those of a trained network do."""
    last = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
    outputs = run(module, images[:40])
    spread = float((outputs - outputs.mean(0)).std())
    last.weight /= spread / 3
    assert last.bias is not None
    last.bias.copy_(last.bias / (spread / 3))


def _replace(module: nn.Module, kinds: tuple[type[nn.Module], ...], activation: Callable[[], nn.Module]) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, kinds):
            setattr(module, name, activation())
        else:
            _replace(child, kinds, activation)


def _pad(module: nn.Module, padding: str) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and child.stride == (2, 2):
            setattr(module, name, PaddedConv2d(child, padding))
        else:
            _pad(child, padding)
