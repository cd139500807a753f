"""`BulkSettings`: how inputs are cut into parts, and what is written for each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import UsageError
from ov_mobilenet.images.load_image import DecodeMode, check_decode_mode
from ov_mobilenet.runtime.class_choice import ClassChoice, choose_classes

if TYPE_CHECKING:
    from pathlib import Path

    from ov_mobilenet.zoo.output_kind import OutputKind

# A part of a small network takes about ten seconds on one core: little is lost with a process that is killed.
IMAGES_PER_PART = 2000


@checked
@dataclass(frozen=True)
class BulkSettings:
    """What the parts of a bulk run hold.

    Attributes:
        images_per_part: greatest number of images of one part, at least 1. A tar shard is always one part, and a
            Parquet file is only cut between row groups.
        top_k: greatest number of classes per image, at least 1; None for 5, and for all in a multi-label network.
        min_probability: classes below this probability are left out, in [0, 1]; None for no limit, and for 0.5 in a
            multi-label network.
        max_errors: the run ends when more images than this have failed, in all parts together; None for no limit.
        image_column: column of Parquet inputs with image files (binary) or their paths (text); None to find it.
        source_column: column of Parquet inputs with the names of the images in the results; None for the path, or
            FILE/ROW for image bytes.
        geometry, labels, decode, output_kind: as for `load_classifier`.

    Raises:
        UsageError: a number is out of range.
    """

    images_per_part: int = IMAGES_PER_PART
    top_k: int | None = None
    min_probability: float | None = None
    max_errors: int | None = None
    image_column: str | None = None
    source_column: str | None = None
    geometry: str | None = None
    labels: tuple[str, ...] | Path | None = None
    decode: DecodeMode = "auto"
    output_kind: Literal["classes", "multilabel"] | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("images_per_part", self.images_per_part, 1), ("top_k", self.top_k, 1), ("max_errors", self.max_errors, 0),
        ):  # fmt: skip
            if value is not None and value < least:
                raise UsageError(f"invalid {name}", expected=f"at least {least}", got=value)
        if self.min_probability is not None and not 0 <= self.min_probability <= 1:
            raise UsageError("invalid min_probability", expected="0 to 1", got=self.min_probability)
        check_decode_mode(self.decode)


def class_choice(settings: BulkSettings, kind: OutputKind) -> ClassChoice:
    """The classes that are written for each image by a network of this kind."""
    return choose_classes(kind, settings.top_k, settings.min_probability)
