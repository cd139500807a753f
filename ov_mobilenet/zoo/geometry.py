"""Geometry: the crops and resizes from an image to the network's input.

This module defines them and reads them from an `accuracy-check.yml` or from text; `images.geometry` applies them.
In the text form, steps are separated by commas:

    crop 0.875, resize 224
    resize 256 greater pillow, crop 224
    resize 256, crop 224

A size is `N` or `HxW`; `crop` takes a fraction of height and width as well. `greater` keeps the aspect ratio:
the shorter side becomes N. `pillow` (antialiased) or `opencv` selects the library of this step and of all steps after
it; `bicubic` selects bicubic instead of bilinear interpolation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ov_mobilenet.errors import OvMobilenetError, UsageError
from ov_mobilenet.zoo.accuracy_check import (
    BgrToRgb,
    CropStep,
    DatasetConfig,
    NormalizationStep,
    PreprocessingStep,
    ResizeStep,
    RgbToBgr,
)

Library = Literal["opencv", "pillow"]
Interpolation = Literal["bilinear", "bicubic"]
MAX_SIDE = 8192
# msgspec checks the range when a geometry is read from the record of an IR.
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]


class Resize(Struct, frozen=True, kw_only=True, tag="resize"):
    """A resize to `height` x `width` pixels.

    Attributes:
        height, width: size of the result; with `keep_aspect` the smallest size that the result must cover.
        keep_aspect: whether the aspect ratio is kept (`greater`).
    """

    height: Side
    width: Side
    keep_aspect: bool = False
    library: Library = "opencv"
    interpolation: Interpolation = "bilinear"


class Crop(Struct, frozen=True, kw_only=True, tag="crop"):
    """A centre crop of `height` x `width` pixels, or of `fraction` in (0, 1] of both sides."""

    height: Side | None = None
    width: Side | None = None
    fraction: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    library: Library = "opencv"

    def __post_init__(self) -> None:
        """Check that the crop has exactly one kind of size. Raises: ValueError."""
        if (self.height is None) != (self.width is None) or (self.height is None) == (self.fraction is None):
            raise ValueError("a crop has either height and width or a fraction")


class Geometry(Struct, frozen=True, kw_only=True):
    """The steps in order, and the library that decodes the image file.

    Attributes:
        steps: each a `Resize` or a `Crop`.
        reader: the library that decodes: `opencv` or `pillow`.
    """

    steps: Annotated[tuple[Resize | Crop, ...], Meta(min_length=1)]
    reader: Library = "opencv"

    def __str__(self) -> str:
        return geometry_text(self)


def resize_whole_image(height: int, width: int) -> Geometry:
    """A resize of the whole image to `height` x `width`: the default if no geometry is known."""
    return Geometry(steps=(Resize(height=height, width=width),))


def check_size(
    geometry: Geometry, height: int, width: int, *, error: type[OvMobilenetError] = UsageError, where: object = None
) -> None:
    """Check that the last step results in the network's input size. Raises: the class `error`."""
    last = geometry.steps[-1] if geometry.steps else None
    if last is None or (last.height, last.width) != (height, width):
        raise error(
            "the geometry does not match the network's input size",
            where=where,
            expected=f"a last step of {height}x{width}" if height != width else f"a last step of {height}",
            got=str(geometry) or "no steps",
        )


def check_steps(steps: Sequence[PreprocessingStep]) -> tuple[int, str] | None:
    """The index of the first invalid step and the reason; None if all steps are valid."""
    for index, step in enumerate(steps):
        if isinstance(step, ResizeStep | CropStep):
            fraction = step.central_fraction if isinstance(step, CropStep) else None
            given = [
                step.size is not None,
                step.dst_width is not None or step.dst_height is not None,
                fraction is not None,
            ]
            if sum(given) != 1:
                return index, f"{_kind(step)}: give one of size, dst_width with dst_height" + (
                    ", central_fraction" if isinstance(step, CropStep) else ""
                )
            if given[1] and (step.dst_width is None or step.dst_height is None):
                return index, f"{_kind(step)}: dst_width and dst_height go together"
        elif isinstance(step, NormalizationStep):
            for value in (step.mean, step.std):
                numbers = parse_numbers(value) if value is not None else (1.0,)
                if numbers is None or len(numbers) not in (1, 3):
                    return index, f"normalization: expected one number or three, got {value!r}"
            if step.std is not None and 0.0 in (parse_numbers(step.std) or ()):
                return index, "normalization: std must not be 0"
    return None


def _kind(step: ResizeStep | CropStep) -> str:
    return "resize" if isinstance(step, ResizeStep) else "crop"


def parse_numbers(value: float | str | tuple[float, ...]) -> tuple[float, ...] | None:
    """Finite numbers out of `127.5`, `(0.485, 0.456, 0.406)` or `103.94, 116.78`; None for anything else."""
    if isinstance(value, str):
        try:
            value = tuple(float(part) for part in value.strip().strip("()[]").split(","))
        except ValueError:
            return None
    elif not isinstance(value, tuple):
        value = (value,)
    return value if all(abs(number) < float("inf") for number in value) else None


def geometry_of_dataset(dataset: DatasetConfig) -> Geometry | None:
    """The geometry of an accuracy-check dataset; None if it has no crop and no resize.

    Steps that convert colours or normalise are not geometry: they are baked into the converted network.
    """
    steps: list[Resize | Crop] = []
    for step in dataset.preprocessing:
        if isinstance(step, ResizeStep):
            height, width = step.dst_height or step.size or 0, step.dst_width or step.size or 0
            steps.append(
                Resize(
                    height=height,
                    width=width,
                    keep_aspect=step.aspect_ratio_scale == "greater",
                    library=_library(step),
                    interpolation="bicubic" if step.interpolation.endswith("CUBIC") else "bilinear",
                )
            )
        elif isinstance(step, CropStep):
            steps.append(
                Crop(
                    height=step.dst_height or step.size,
                    width=step.dst_width or step.size,
                    fraction=step.central_fraction,
                    library=_library(step),
                )
            )
    if not steps:
        return None
    return Geometry(steps=tuple(steps), reader="pillow" if dataset.reader == "pillow_imread" else "opencv")


def _library(step: ResizeStep | CropStep) -> Library:
    return "pillow" if step.use_pillow else "opencv"


def channel_order(dataset: DatasetConfig) -> Literal["BGR", "RGB"]:
    """The channel order of the network's input: that of the reader, swapped by each colour conversion."""
    bgr = dataset.reader == "opencv_imread"
    for step in dataset.preprocessing:
        if isinstance(step, BgrToRgb | RgbToBgr):
            bgr = not bgr
    return "BGR" if bgr else "RGB"


_STEP = re.compile(r"(?P<kind>resize|crop)\s+(?P<size>\d{1,6}x\d{1,6}|\d{1,6}|\d*\.\d+)(?P<words>(\s+[a-z]+)*)")


def parse_geometry(text: str) -> Geometry:
    """Parse the text form of a geometry, which the module's docstring describes.

    Raises:
        UsageError: a step is invalid. The message contains the step.
    """
    steps: list[Resize | Crop] = []
    library: Library = "opencv"
    for part in text.split(","):
        match = _STEP.fullmatch(part.strip().lower())
        if not match:
            raise _invalid(part)
        words = set(match["words"].split())
        if unknown := words - {"greater", "pillow", "opencv", "bicubic", "bilinear"}:
            raise _invalid(part, f"unknown word {min(unknown)!r}")
        library = "pillow" if "pillow" in words else "opencv" if "opencv" in words else library
        steps.append(_step(match["kind"], match["size"], words, library, part))
    reader: Library = "pillow" if any(step.library == "pillow" for step in steps) else "opencv"
    return Geometry(steps=tuple(steps), reader=reader)


def _step(kind: str, size: str, words: set[str], library: Library, part: str) -> Resize | Crop:
    fraction = float(size) if "." in size else None
    if fraction is not None and (kind == "resize" or not 0.0 < fraction <= 1.0):
        raise _invalid(part, "only crop takes a fraction, above 0 and at most 1")
    height = width = None
    if fraction is None:
        height, width = (int(side) for side in (size.split("x") if "x" in size else (size, size)))
        if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
            raise _invalid(part, f"a size is between 1 and {MAX_SIDE} pixels")
    if kind == "crop":
        if words & {"greater", "bicubic", "bilinear"}:
            raise _invalid(part, "crop has no interpolation and no 'greater'")
        return Crop(height=height, width=width, fraction=fraction, library=library)
    return Resize(
        height=height or 0,
        width=width or 0,
        keep_aspect="greater" in words,
        library=library,
        interpolation="bicubic" if "bicubic" in words else "bilinear",
    )


def _invalid(part: str, why: str | None = None) -> UsageError:
    return UsageError(
        "invalid geometry" if why is None else f"invalid geometry: {why}",
        expected="steps such as 'resize 256 greater pillow, crop 224' or 'crop 0.875, resize 224'",
        got=repr(part.strip()),
    )


def geometry_text(geometry: Geometry) -> str:
    """The text form of the geometry, which `parse_geometry` reads."""
    parts: list[str] = []
    library: Library = "opencv"
    for step in geometry.steps:
        if isinstance(step, Crop) and step.fraction is not None:
            words = [f"crop {Decimal(repr(step.fraction)):f}"]  # never 1e-05
        else:
            kind = "resize" if isinstance(step, Resize) else "crop"
            square = step.height == step.width
            words = [f"{kind} {step.height}" if square else f"{kind} {step.height}x{step.width}"]
        if isinstance(step, Resize):
            words += ["greater"] * step.keep_aspect + ["bicubic"] * (step.interpolation == "bicubic")
        if step.library != library:
            words.append(step.library)
            library = step.library
        parts.append(" ".join(words))
    return ", ".join(parts)
