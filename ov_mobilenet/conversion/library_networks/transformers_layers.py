"""The one layer that transformers' MobileNets consist of: convolution, batch norm and activation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from ov_mobilenet.conversion.library_networks.same_padding import same_padding
from ov_mobilenet.conversion.library_networks.transformers_arguments import TransformersSettings


class TransformersConvLayer(nn.Module):
    """A square convolution without bias, batch norm and, unless `activates` is False, the activation.

    The padding is computed from the size that the layer is built for and not from the tensor, so that a trace of the
    module holds numbers and no shape arithmetic.

    Args:
        size: height and width of the features at the input of the layer.

    Attributes:
        output_size: height and width of the features at its output.
    """

    def __init__(
        self,
        settings: TransformersSettings,
        size: tuple[int, int],
        inputs: int,
        outputs: int,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        activates: bool = True,
    ) -> None:
        super().__init__()
        height, width = size
        if settings.tf_padding:
            # transformers multiplies the padding of the kernel without dilation, and dilates only at stride 1
            same = (*same_padding(width, kernel, stride), *same_padding(height, kernel, stride))
            left, right, top, bottom = (dilation * zeros for zeros in same)
        else:
            left = right = top = bottom = dilation * (kernel // 2)
        symmetric = left == right and top == bottom
        self._pads = None if symmetric else (left, right, top, bottom)
        self.convolution = nn.Conv2d(
            inputs, outputs, kernel, stride, (top, left) if symmetric else 0, dilation, groups, bias=False
        )
        self.normalization = nn.BatchNorm2d(outputs, eps=settings.layer_norm_eps)
        self.activation = _activation(settings.hidden_act) if activates else None
        reach = dilation * (kernel - 1) + 1
        self.output_size = (
            (height + top + bottom - reach) // stride + 1,
            (width + left + right - reach) // stride + 1,
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, height, width) to (N, outputs, *output_size)."""
        if self._pads is not None:
            features = functional.pad(features, self._pads)
        features = self.normalization(self.convolution(features))
        return features if self.activation is None else self.activation(features)


def _activation(name: str) -> nn.Module:
    """The activation by transformers' name; see `TransformersSettings`."""
    activations: dict[str, type[nn.Module]] = {
        "relu6": nn.ReLU6, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "hardswish": nn.Hardswish,
        "silu": nn.SiLU, "swish": nn.SiLU, "gelu": nn.GELU, "mish": nn.Mish,
    }  # fmt: skip
    return activations[name]()
