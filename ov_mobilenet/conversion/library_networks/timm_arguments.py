"""The arguments that a configuration of timm may give beside the name of the architecture. Does not need torch."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ov_mobilenet.conversion.library_networks.timm_structure import TimmStructure
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.labels import MAX_LABELS
from ov_mobilenet.zoo.library_network import Argument, LibraryNetwork

# They act in training only.
_WITHOUT_EFFECT = frozenset({"drop_rate", "drop_path_rate", "bn_momentum"})
_PADDINGS = {"": "symmetric", "same": "same"}
_SAME_FOR_ALL = frozenset({"in_chans", "num_classes", "global_pool"})


def apply_arguments(structure: TimmStructure, network: LibraryNetwork) -> TimmStructure:
    """The structure of a network with the arguments of its configuration.

    Raises:
        ConversionError: an argument is unknown or has a value that is not supported; the message names it.
    """
    check_timm_arguments(network, ("bn_eps", "pad_type", "head_bias"))
    changes: dict[str, object] = {}
    for name, value in network.arguments.items():
        if name == "bn_eps":
            if isinstance(value, bool | str) or not 0 < value < 1:  # NaN neither
                raise _unsupported(network, name, "a number above 0 and below 1", value)
            changes["epsilon"] = float(value)
        elif name == "pad_type":
            if value not in _PADDINGS:
                raise _unsupported(network, name, "'' or 'same'", value)
            changes["padding"] = _PADDINGS[str(value)]
        elif name == "head_bias":
            if structure.head != "after-pooling" or not isinstance(value, bool):
                raise _unsupported(network, name, "true or false, and only for V3", value)
            changes["head_bias"] = value
    return msgspec.structs.replace(structure, **changes)


def check_timm_arguments(network: LibraryNetwork, supported: Iterable[str] = ()) -> None:
    """Check the number of classes and the arguments that all networks of timm have, and refuse unknown ones.

    Args:
        supported: further arguments of the network, which the caller checks.

    Raises:
        ConversionError: the network has no classes, is not for RGB, pools otherwise than by the mean, or an argument
            is unknown.
    """
    if not 1 <= network.classes <= MAX_LABELS:
        raise ConversionError(
            "the network has no classifier" if network.classes == 0 else "invalid number of classes",
            where=network.name, expected=f"1 to {MAX_LABELS} classes", got=network.classes,
        )  # fmt: skip
    for name, value in network.arguments.items():
        expected: Argument
        if name in _WITHOUT_EFFECT or name in supported:
            continue
        if name not in _SAME_FOR_ALL:
            known = sorted(_SAME_FOR_ALL.union(supported, _WITHOUT_EFFECT))
            raise ConversionError(
                f"unsupported argument {name} of the architecture", where=network.name, expected=", ".join(known),
                got=repr(value), fix="Export the network to ONNX with timm",
            )  # fmt: skip
        expected = {"in_chans": 3, "num_classes": network.classes}.get(name, "avg")
        if isinstance(value, bool) or value != expected:
            raise _unsupported(network, name, repr(expected), value)


def _unsupported(network: LibraryNetwork, name: str, expected: str, value: Argument) -> ConversionError:
    return ConversionError(
        f"unsupported value of the argument {name}", where=network.name, expected=expected, got=repr(value),
        fix="Export the network to ONNX with timm",
    )  # fmt: skip
