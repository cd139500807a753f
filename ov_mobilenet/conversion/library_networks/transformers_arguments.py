"""What a configuration of transformers says of a MobileNet V1 or V2, checked before a network is built. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.labels import MAX_LABELS
from ov_mobilenet.zoo.library_network import Argument, LibraryNetwork

_ACTIVATIONS = ("relu6", "relu", "leaky_relu", "hardswish", "silu", "swish", "gelu", "mish")
# For training, for segmentation, or for the image processor: they change neither layers nor results of a classifier.
# The size of the input comes from the image processor and not from image_size, which transformers does not use either.
_WITHOUT_EFFECT = frozenset(
    {"classifier_dropout_prob", "image_size", "initializer_range", "semantic_loss_ignore_index"}
)
_OF_BOTH = ("depth_multiplier", "min_depth", "hidden_act", "tf_padding", "layer_norm_eps")
# The keys of a configuration that change the network, by `model_type`.
TRANSFORMERS_ARGUMENTS = {
    "mobilenet_v1": _OF_BOTH,
    "mobilenet_v2": (
        *_OF_BOTH, "depth_divisible_by", "expand_ratio", "output_stride", "first_layer_is_expansion",
        "finegrained_output",
    ),
}  # fmt: skip
TRANSFORMERS_ARCHITECTURES = tuple(TRANSFORMERS_ARGUMENTS)
# Published networks use 0.35 to 1.4 and 6. The limits keep a configuration from asking for more memory than there is.
_LARGEST_MULTIPLIER = 4.0
_LARGEST_EXPANSION = 16.0
_LARGEST_WIDTH = 256


@dataclass(frozen=True)
class TransformersSettings:
    """The settings of a MobileNet V1 or V2, with transformers' defaults for what a configuration does not say.

    Attributes:
        depth_multiplier: factor for the number of channels.
        min_depth: the smallest number of channels of a layer.
        hidden_act: the activation by transformers' name.
        tf_padding: whether the padding is TensorFlow's SAME; else half of the kernel on all four sides.
        layer_norm_eps: the number that is added to the variance of a batch norm.
        depth_divisible_by: V2: channels are rounded to a multiple of it.
        expand_ratio: V2: channels inside a block for each of its input.
        output_stride: V2: input size divided by the size of the last feature map; below 32 by dilation.
        first_layer_is_expansion: V2: whether the first block has no 1x1 expansion of its own.
        finegrained_output: V2: whether the last convolution keeps 1280 channels when `depth_multiplier` is below 1.
    """

    depth_multiplier: float = 1.0
    min_depth: int = 8
    hidden_act: str = "relu6"
    tf_padding: bool = True
    layer_norm_eps: float = 1e-3
    depth_divisible_by: int = 8
    expand_ratio: float = 6.0
    output_stride: int = 32
    first_layer_is_expansion: bool = True
    finegrained_output: bool = True

    def channels_v1(self, channels: int) -> int:
        """V1's rule: truncated, and at least `min_depth`."""
        return max(int(channels * self.depth_multiplier), self.min_depth)

    def channels_v2(self, channels: int) -> int:
        """V2's rule for the layers of the published table."""
        return self._divisible(round(channels * self.depth_multiplier))

    def expanded_v2(self, channels: int) -> int:
        """V2's number of channels inside a block, from those of the block's input."""
        return self._divisible(round(channels * self.expand_ratio))

    def _divisible(self, channels: int) -> int:
        """Round to a multiple of `depth_divisible_by`, by at most 10 % down."""
        divisor = self.depth_divisible_by
        rounded = max(self.min_depth, int(channels + divisor / 2) // divisor * divisor)
        return rounded if rounded >= 0.9 * channels else rounded + divisor


def read_transformers_settings(network: LibraryNetwork) -> TransformersSettings:
    """The settings that the arguments of a network, one of `TRANSFORMERS_ARCHITECTURES`, give.

    Raises:
        ConversionError: an argument is unknown, or its value is not supported; the message names it.
    """
    arguments, known = network.arguments, {*TRANSFORMERS_ARGUMENTS[network.architecture], "num_channels"}
    unknown = sorted(arguments.keys() - known - _WITHOUT_EFFECT)
    if unknown:
        raise ConversionError(
            f"unknown arguments of {network.name}", expected=", ".join(sorted(known)), got=", ".join(unknown)
        )
    if not 1 <= network.classes <= MAX_LABELS:
        raise ConversionError(
            f"number of classes of {network.name}", expected=f"1 to {MAX_LABELS}", got=network.classes
        )
    if arguments.get("num_channels", 3) != 3:
        raise _unsupported("num_channels", "3, for RGB", arguments["num_channels"])
    return TransformersSettings(
        depth_multiplier=_number(arguments, "depth_multiplier", 1.0, _LARGEST_MULTIPLIER),
        min_depth=_whole(arguments, "min_depth", 8, range(1, _LARGEST_WIDTH + 1)),
        hidden_act=_activation(arguments),
        tf_padding=_flag(arguments, "tf_padding"),
        layer_norm_eps=_number(arguments, "layer_norm_eps", 1e-3, 1.0),
        depth_divisible_by=_whole(arguments, "depth_divisible_by", 8, range(1, _LARGEST_WIDTH + 1)),
        expand_ratio=_number(arguments, "expand_ratio", 6.0, _LARGEST_EXPANSION),
        output_stride=_whole(arguments, "output_stride", 32, (2, 4, 8, 16, 32)),
        first_layer_is_expansion=_flag(arguments, "first_layer_is_expansion"),
        finegrained_output=_flag(arguments, "finegrained_output"),
    )


def _number(arguments: Mapping[str, Argument], name: str, default: float, largest: float) -> float:
    value = arguments.get(name, default)
    if isinstance(value, bool | str) or not 0 < value <= largest:  # NaN neither
        raise _unsupported(name, f"a number above 0, at most {largest:g}", value)
    return float(value)


def _whole(arguments: Mapping[str, Argument], name: str, default: int, allowed: range | tuple[int, ...]) -> int:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        choices = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else ", ".join(map(str, allowed))
        raise _unsupported(name, choices, value)
    return value


def _flag(arguments: Mapping[str, Argument], name: str) -> bool:
    value = arguments.get(name, True)
    if not isinstance(value, bool):
        raise _unsupported(name, "true or false", value)
    return value


def _activation(arguments: Mapping[str, Argument]) -> str:
    value = arguments.get("hidden_act", "relu6")
    if value not in _ACTIVATIONS:
        raise _unsupported("hidden_act", ", ".join(_ACTIVATIONS), value)
    return str(value)


def _unsupported(name: str, expected: str, got: Argument) -> ConversionError:
    return ConversionError(f"unsupported value of the argument {name}", expected=expected, got=repr(got))
