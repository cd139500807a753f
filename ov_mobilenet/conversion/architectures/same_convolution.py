"""A convolution with TensorFlow's SAME padding."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class SameConv2d(nn.Conv2d):
    """A square convolution without bias and with TensorFlow's SAME padding.

    At stride 2 and an even size TensorFlow pads right and bottom by one more than left and top; torch's padding of half
    of the kernel would place the windows one pixel further up and left.
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Pad and convolve (N, C, H, W); at stride 2 H and W are even."""
        if self.stride[0] == 2:
            # Not computed from the shape, so that a trace of the module is valid for other sizes.
            less, more = (self.kernel_size[0] - 2) // 2, (self.kernel_size[0] - 1) // 2
            features = functional.pad(features, (less, more, less, more))
        return super().forward(features)
