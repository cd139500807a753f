"""Recognise image networks of Teachable Machine, and state how they are to be fed.

Teachable Machine trains a small classifier on a MobileNet V2 of width 0.35 and exports the network as Keras, SavedModel
and TFLite, each with a file labels.txt. It is recognised by that structure together with the labels, never by names.
The code that it shows with its exports crops the centre square (Pillow's ImageOps.fit with Lanczos), resizes it to
224x224 and maps RGB to -1..1.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.architectures.weights import has_backbone
from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.conversion.naming_schemes import convolution_shapes
from ov_mobilenet.conversion.presets import PRESETS
from ov_mobilenet.zoo.geometry import Crop, Geometry, Resize
from ov_mobilenet.zoo.labels import read_labels

if TYPE_CHECKING:
    import openvino as ov

TEACHABLE_SIDE = 224
_WIDTH = 0.35
_CONVOLUTIONS = 52
_FEATURES, _HIDDEN = 1280, 100


def is_teachable_machine(model: ov.Model, classes: int) -> bool:
    """Whether a graph, as its frontend reads it, has the structure of Teachable Machine's image networks.

    Args:
        model: the graph; its output holds one value per class.
    """
    convolutions = convolution_shapes(model)
    layers = [sorted(shape) for shape in _dense_shapes(model)]
    return (
        layers == [sorted((_FEATURES, _HIDDEN)), sorted((_HIDDEN, classes))]
        and len(convolutions) == _CONVOLUTIONS
        and has_backbone("mobilenet_v2", convolutions, (_WIDTH,))
        and _sizes(model) == [3, TEACHABLE_SIDE, TEACHABLE_SIDE]
    )


def _dense_shapes(model: ov.Model) -> list[tuple[int, ...]]:
    """The shapes of the weights of all dense layers, in order."""
    found = []
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MatMul":
            shape = node.input_value(1).get_partial_shape()
            found.append(tuple(shape.get_shape()) if shape.is_static else ())
    return found


def _sizes(model: ov.Model) -> list[int]:
    """The fixed sizes of the input without the batch, in ascending order."""
    shape = list(model.inputs[0].get_partial_shape()) if len(model.inputs) == 1 else []
    return sorted(size.get_length() for size in shape[1:] if size.is_static)


def teachable_machine_input(labels: Path) -> DeclaredInput:
    """What Teachable Machine's networks take.

    Args:
        labels: the labels that it exports, each with its number in front.

    Raises:
        ConfigError: the labels cannot be read.
    """
    # Pillow's ImageOps.fit crops in fractions of a pixel and uses Lanczos. On 42 images this geometry differs from it
    # by 2.6 grey levels on average, of which Lanczos instead of bicubic would remove 0.2.
    resize = Resize(
        height=TEACHABLE_SIDE, width=TEACHABLE_SIDE, keep_aspect=True, library="pillow", interpolation="bicubic"
    )
    crop = Crop(height=TEACHABLE_SIDE, width=TEACHABLE_SIDE, library="pillow")
    return DeclaredInput(
        by="structure and labels of Teachable Machine",
        normalisation=PRESETS["tensorflow"].normalisation,
        geometry=Geometry(steps=(resize, crop), reader="pillow"),
        labels=read_labels(labels),
    )
