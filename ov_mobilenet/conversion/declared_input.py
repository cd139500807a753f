"""What the files of a network say about its input and its classes, beside the graph and the weights."""

from __future__ import annotations

from dataclasses import dataclass

from ov_mobilenet.zoo.geometry import Geometry
from ov_mobilenet.zoo.normalisation import Normalisation


@dataclass(frozen=True)
class DeclaredInput:
    """Declarations in the files of a network; None for what they do not say.

    An option of the user's comes before a declaration, a declaration before everything that is guessed.

    Attributes:
        by: the file or the format that says it, such as `config.json` or `TFLite Metadata`; part of messages.
        normalisation: from pixels 0..255 in BGR to the network's input, as `convert` bakes it.
        geometry: crop and resize; its last step has the size of the input.
        size: height and width of the input in pixels; only for networks whose graph does not fix them.
        labels: one name per class, or the name of a shipped set, such as `imagenet_1000_classes`.
        background_class: index of the class that stands for none of the others.
        is_order_declared: whether the channel order of the normalisation is said; otherwise it is usual.
    """

    by: str
    normalisation: Normalisation | None = None
    geometry: Geometry | None = None
    size: tuple[int, int] | None = None
    labels: tuple[str, ...] | str | None = None
    background_class: int | None = None
    is_order_declared: bool = True
