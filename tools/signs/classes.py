"""The classes of the sample model: a pictogram and its colour.

Seven of the nine pictograms have two colours, and six of these pairs are red and blue. Reading RGB as BGR turns one
class of such a pair into the other, so the accuracy is low if the channel order is wrong.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class SignClass:
    """One class of the sample model.

    Attributes:
        pictogram: the shape and symbol, a key of `plates.PAINTERS`.
        paint: the colour, a key of `paints.PAINTS`.
    """

    pictogram: str
    paint: str

    @property
    def label(self) -> str:
        """English name, with spaces."""
        return f"{self.pictogram} {self.paint}" if self.paint else self.pictogram


SIGN_CLASSES: tuple[SignClass, ...] = (
    SignClass("no entry", "red"),
    SignClass("no entry", "blue"),
    SignClass("stop", "red"),
    SignClass("stop", "blue"),
    SignClass("warning triangle", "red"),
    SignClass("warning triangle", "blue"),
    SignClass("arrow plate", "red"),
    SignClass("arrow plate", "blue"),
    SignClass("speed limit", "red"),
    SignClass("speed limit", "blue"),
    SignClass("no parking", "red"),
    SignClass("no parking", "blue"),
    SignClass("traffic light", "red"),
    SignClass("traffic light", "green"),
    SignClass("priority road", "yellow"),
    SignClass("end of limits", ""),
)

CLASSES: tuple[str, ...] = tuple(sign_class.label for sign_class in SIGN_CLASSES)


def _swapped_class(index: int) -> int:
    sign_class = SIGN_CLASSES[index]
    other_paint = {"red": "blue", "blue": "red"}.get(sign_class.paint, sign_class.paint)
    other = SignClass(sign_class.pictogram, other_paint)
    return SIGN_CLASSES.index(other) if other in SIGN_CLASSES else index


#: For class i, the class that its drawing shows when red and blue channels are swapped; i itself if there is no such
#: class.
SWAPPED_CLASS: tuple[int, ...] = tuple(_swapped_class(index) for index in range(len(SIGN_CLASSES)))
