"""MobileNets as other libraries write them: other keys, and any activation, padding and epsilon. Uses no ov_mobilenet.

The tables are those of the papers. TensorFlow's SAME padding is computed from the size of each input by its definition
(https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2), where the package has constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# Per block: kernel, hidden channels, channels, squeezed channels, h-swish, stride. Hidden 0: no expansion.
Row = tuple[int, int, int, int, bool, int]
V1_ROWS = [(3, 0, c // 4, 0, False, s) for c, s in (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))]  # fmt: skip
V2_ROWS: list[Row] = []
for _t, _c, _n, _s in (
    (1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1), (6, 56, 3, 2), (6, 112, 1, 1)
):  # fmt: skip
    for _i in range(_n):
        _before = V2_ROWS[-1][2] if V2_ROWS else 16
        V2_ROWS.append((3, _before * _t if _t > 1 else 0, _c, 0, False, _s if _i == 0 else 1))
V3_SMALL_ROWS: list[Row] = [
    (3, 0, 8, 8, False, 2), (3, 40, 16, 0, False, 2), (3, 48, 16, 0, False, 1), (5, 48, 24, 16, True, 2),
    (5, 120, 24, 32, True, 1), (5, 120, 24, 32, True, 1), (5, 64, 24, 16, True, 1), (5, 72, 24, 24, True, 1),
    (5, 144, 48, 40, True, 2), (5, 288, 48, 72, True, 1), (5, 288, 48, 72, True, 1),
]  # fmt: skip
TABLES: dict[str, tuple[int, list[Row], int, int]] = {  # stem, rows, last, hidden of the classifier
    "mobilenet_v1": (8, V1_ROWS, 0, 0),  # width 0.25
    "mobilenet_v2": (16, V2_ROWS, 1280, 0),  # width 0.35; the first block has 8 channels
    "mobilenet_v3_small": (8, V3_SMALL_ROWS, 288, 512),  # width 0.5
}
CLASSES = 5


class Convolution(nn.Module):
    """A convolution with its padding, a batch norm, and an activation."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, groups: int, act: Any, same: bool, eps: float
    ) -> None:
        super().__init__()
        self.kernel = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=eps)
        self.act, self.same = act, same

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k, s = self.kernel.kernel_size[0], self.kernel.stride[0]
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // s) - 1) * s + k - size, 0) if self.same else k // 2 * 2
            pads += [total // 2, total - total // 2]
        x = self.norm(self.kernel(functional.pad(x, pads)))
        out: torch.Tensor = x if self.act is None else self.act(x)
        return out


class Excite(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.up(functional.relu(self.down(functional.adaptive_avg_pool2d(x, 1))))
        return x * functional.relu6(gate + 3) / 6


class Foreign(nn.Module):
    """A MobileNet with keys such as `blocks.3.1.kernel.weight`.

    Args:
        act: in place of ReLU and ReLU6.
        same: TensorFlow's SAME padding instead of half of the kernel on all sides.
        eps: of the batch norms.
    """

    def __init__(self, architecture: str, act: Callable[[torch.Tensor], torch.Tensor], same: bool, eps: float) -> None:
        super().__init__()
        stem, rows, last, hidden = TABLES[architecture]
        v3 = bool(hidden)
        final = functional.hardswish if v3 else act

        def conv(inputs: int, outputs: int, k: int, s: int, groups: int, f: Any) -> Convolution:
            return Convolution(inputs, outputs, k, s, groups, f, same, eps)

        self.stem = conv(3, stem, 3, 2, 1, final)
        self.blocks = nn.ModuleList()
        self.adds = []
        channels = stem
        for kernel, wide, outputs, squeezed, swish, stride in rows:
            inside = functional.hardswish if swish else act
            expanded = wide or channels
            layers: list[nn.Module] = [conv(channels, wide, 1, 1, 1, inside)] if wide and wide != channels else []
            layers.append(conv(expanded, expanded, kernel, stride, expanded, inside))
            layers += [Excite(expanded, squeezed)] if squeezed else []
            layers.append(conv(expanded, outputs, 1, 1, 1, act if architecture == "mobilenet_v1" else None))
            self.blocks.append(nn.Sequential(*layers))
            self.adds.append(architecture != "mobilenet_v1" and stride == 1 and channels == outputs)
            channels = outputs
        self.last = conv(channels, last, 1, 1, 1, final) if last else None
        features = last or channels
        self.hidden = nn.Linear(features, hidden) if hidden else None
        self.top = nn.Linear(hidden or features, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block, adds in zip(self.blocks, self.adds, strict=True):
            x = x + block(x) if adds else block(x)
        x = (x if self.last is None else self.last(x)).mean((2, 3))
        x = x if self.hidden is None else functional.hardswish(self.hidden(x))
        logits: torch.Tensor = self.top(x)
        return logits


def leaky(x: torch.Tensor) -> torch.Tensor:
    """LeakyReLU 0.1."""
    return functional.leaky_relu(x, 0.1)


def untrained(
    architecture: str, images: np.ndarray, *, act: Any = leaky, same: bool = True, eps: float = 1e-3
) -> Foreign:
    """A network whose batch norms hold the statistics of images, float32 (N, 3, H, W), and whose answers differ.

    The variances are small, so that an epsilon of 1e-3 matters.
    """
    torch.manual_seed(6)
    network = Foreign(architecture, act, same, eps)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    pixels = torch.from_numpy(images)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(0.3)
        for norm in norms:
            norm.momentum = 1.0
            nn.init.normal_(norm.weight, 1.0, 0.2)
            nn.init.normal_(norm.bias, 0.0, 0.4)
        network.train()
        network(pixels)
        network.eval()
        logits = network(pixels)
        network.top.weight.mul_(1.0 / logits.std(0)[:, None])
        network.top.bias.mul_(0).sub_(network(pixels).mean(0))
    return network
