"""The `preprocessor_config.json` of transformers.

The shorter side is resized with Pillow, and the crop of the centre rounds half a pixel down, as our OpenCV crop does.
The processors of MobileNet V1 and V2 have defaults for what a file leaves out; for the others a key must be there.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.hub.declaration import (
    CHOOSE_GEOMETRY,
    CHOOSE_NORMALISATION,
    NOTHING_SETTLED,
    SettledByUser,
    pixel_normalisation,
    read_unless_settled,
)
from ov_mobilenet.hub.documents import JsonDocument
from ov_mobilenet.zoo.geometry import MAX_SIDE, Crop, Geometry, Resize
from ov_mobilenet.zoo.normalisation import Normalisation

FILE = "preprocessor_config.json"
_MOBILENET = re.compile("MobileNetV[12](ImageProcessor(Fast|Pil)?|FeatureExtractor)")
# Those of other networks that take the same keys. ImageFeatureExtractor is transformers.js's.
_EXPLICIT = re.compile("ImageFeatureExtractor|ViT(ImageProcessor(Fast|Pil)?|FeatureExtractor)")
# `do_reduce_labels` is for segmentation, and images always have three channels here.
_KNOWN_STEPS = {
    "do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb", "do_reduce_labels",
}  # fmt: skip
_INTERPOLATIONS: dict[int, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}

_Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
_Value = Annotated[float, Meta(ge=-1e5, le=1e5)]
_Values = Annotated[tuple[_Value, ...], Meta(min_length=1, max_length=3)]


class _Sizes(Struct, frozen=True):
    height: _Side | None = None
    width: _Side | None = None
    shortest_edge: _Side | None = None
    longest_edge: _Side | None = None


class _Preprocessor(Struct, frozen=True):
    image_processor_type: str | None = None
    feature_extractor_type: str | None = None
    do_resize: bool | None = None
    do_center_crop: bool | None = None
    do_rescale: bool | None = None
    do_normalize: bool | None = None
    size: _Side | _Sizes | None = None
    crop_size: _Side | _Sizes | None = None
    resample: int | None = None
    rescale_factor: Annotated[float, Meta(gt=0.0, le=1e3)] | None = None
    image_mean: _Value | _Values | None = None
    image_std: _Value | _Values | None = None


def read_preprocessor(
    document: JsonDocument, settled: SettledByUser = NOTHING_SETTLED
) -> tuple[Normalisation | None, Geometry | None, tuple[int, int] | None]:
    """Normalisation, geometry, and height and width of the input; None for what the user settles if it cannot be used.

    Raises:
        ConfigError: a value has the wrong type or is out of range.
        ConversionError: a step is not supported; the message names the key.
    """
    config = document.convert(_Preprocessor)
    is_mobilenet = _check_kind(document, config)
    geometry = read_unless_settled(lambda: _geometry(document, config, is_mobilenet), settled.geometry)
    normalisation = read_unless_settled(lambda: _normalisation(document, config, is_mobilenet), settled.normalisation)
    if geometry is None:
        return normalisation, None, None
    last = geometry.steps[-1]
    return normalisation, geometry, (last.height or 0, last.width or 0)


def _check_kind(document: JsonDocument, config: _Preprocessor) -> bool:
    """Whether the processor is one of MobileNet's. Raises: ConversionError."""
    name = config.image_processor_type or config.feature_extractor_type
    if name is not None and _MOBILENET.fullmatch(name):
        return True
    if name is None or _EXPLICIT.fullmatch(name):
        return False
    key = "image_processor_type" if config.image_processor_type else "feature_extractor_type"
    raise document.unsupported(
        "unknown image processor", key, expected="MobileNetV1ImageProcessor, MobileNetV2ImageProcessor, "
        "ViTImageProcessor, their older names, or ImageFeatureExtractor", got=name,
        fix=f"{CHOOSE_GEOMETRY}. {CHOOSE_NORMALISATION}",
    )  # fmt: skip


def _check_steps(document: JsonDocument) -> None:
    """Refuse steps that are not known, and the crop share of other processors. Raises: ConversionError."""
    for key, value in document.data.items():
        is_unknown_step = key.startswith("do_") and key not in _KNOWN_STEPS and value not in (False, None)
        if is_unknown_step or (key == "crop_pct" and value is not None):
            raise document.unsupported("unknown step of the preprocessing", key, got=value, fix=CHOOSE_GEOMETRY)


def _given(document: JsonDocument, key: str, value: Any, default: Any, is_mobilenet: bool) -> Any:
    """A value, or the default of MobileNet's processors. Raises: ConfigError."""
    if value is None and not is_mobilenet:
        raise document.invalid("missing key", key, "a value, because this image processor has no known default")
    return default if value is None else value


def _geometry(document: JsonDocument, config: _Preprocessor, is_mobilenet: bool) -> Geometry:
    _check_steps(document)
    if not _given(document, "do_resize", config.do_resize, True, is_mobilenet):
        raise _unsupported_step(document, "do_resize", "true", "false: images of any size are not resized")
    resample = _given(document, "resample", config.resample, 2, is_mobilenet)
    if resample not in _INTERPOLATIONS:
        raise _unsupported_step(document, "resample", "2 (bilinear) or 3 (bicubic)", resample)
    size = _given(document, "size", config.size, _Sizes(shortest_edge=256), is_mobilenet)
    if isinstance(size, int):
        if not is_mobilenet and not (config.image_processor_type or config.feature_extractor_type or "").startswith(
            "V"
        ):
            raise _unsupported_step(document, "size", "an object with shortest_edge, or height and width", size)
        size = _Sizes(shortest_edge=size) if is_mobilenet else _Sizes(height=size, width=size)
    if size.longest_edge is not None or (size.shortest_edge is None) == (size.height is None or size.width is None):
        got = document.data.get("size")
        raise _unsupported_step(document, "size", "an object with shortest_edge, or height and width", got)
    height, width = size.height or size.shortest_edge, size.width or size.shortest_edge
    resize = Resize(
        height=height, width=width, keep_aspect=size.shortest_edge is not None, library="pillow",
        interpolation=_INTERPOLATIONS[resample],
    )  # fmt: skip
    if not (is_mobilenet if config.do_center_crop is None else config.do_center_crop):
        if resize.keep_aspect:
            got = "false: the input has no fixed size"
            raise _unsupported_step(document, "do_center_crop", "true with size.shortest_edge", got)
        return Geometry(steps=(resize,), reader="pillow")
    crop = _given(document, "crop_size", config.crop_size, 224, is_mobilenet)
    if isinstance(crop, int):
        crop = _Sizes(height=crop, width=crop)
    if crop.height is None or crop.width is None:
        raise _unsupported_step(document, "crop_size", "height and width", document.data.get("crop_size"))
    if crop.height > resize.height or crop.width > resize.width:
        expected = f"at most {resize.height}x{resize.width}, as size: a larger crop would add black borders"
        raise _unsupported_step(document, "crop_size", expected, f"{crop.height}x{crop.width}")
    return Geometry(steps=(resize, Crop(height=crop.height, width=crop.width, library="opencv")), reader="pillow")


def _unsupported_step(document: JsonDocument, key: str, expected: str, got: object) -> ConversionError:
    return document.unsupported("preprocessing is not supported", key, expected=expected, got=got, fix=CHOOSE_GEOMETRY)


def _normalisation(document: JsonDocument, config: _Preprocessor, is_mobilenet: bool) -> Normalisation:
    """The rescaling and the normalisation as one."""
    factor = config.rescale_factor or 1 / 255
    if config.do_rescale is False:
        factor = 1.0
    mean = std = None
    if _given(document, "do_normalize", config.do_normalize, True, is_mobilenet):
        mean = _numbers(document, "image_mean", _given(document, "image_mean", config.image_mean, 0.5, is_mobilenet))
        std = _numbers(document, "image_std", _given(document, "image_std", config.image_std, 0.5, is_mobilenet))
    try:
        return pixel_normalisation(mean, std, factor)
    except UsageError as error:
        key = "image_mean" if "mean" in error.what else "image_std"
        raise document.unsupported(
            error.what, key, expected=error.expected, got=error.got,
            fix=CHOOSE_NORMALISATION,
        ) from error  # fmt: skip


def _numbers(document: JsonDocument, key: str, value: Any) -> tuple[float, ...]:
    found = tuple(value) if isinstance(value, tuple | list) else (value,) * 3
    if len(found) == 2:
        raise document.invalid("wrong type or value", key, "three numbers", list(found))
    return found
