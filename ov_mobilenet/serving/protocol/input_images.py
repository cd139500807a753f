"""From an input tensor to images: data type, shape and payload are checked, every message names what was expected.

A tensor holds either frames or image files:

- UINT8 and FP32 `[N, H, W, 3]` or `[N, 3, H, W]`: frames in BGR, values 0..255. A last dimension of 3 decides for
  `[N, H, W, 3]`. FP32 is rounded to the nearest integer, halves to the even one.
- BYTES `[N]` or `[N, 1]`: image files.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

from ov_mobilenet.serving.protocol.client_text import shown
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.images.decode import Frame
    from ov_mobilenet.serving.protocol.messages import InputTensor

# Bytes of an element; those of BYTES have a length of their own.
ELEMENT_BYTES = {"UINT8": 1, "FP32": 4, "BYTES": 0}
LENGTH_BYTES = 4
FRAME_SHAPES = "[N, H, W, 3] or [N, 3, H, W]"
# Above, the conversion takes about a millisecond.
SLOW_ELEMENTS = 1 << 18
# Elements that are rounded at once: they stay in the cache.
PART_ELEMENTS = 1 << 16


def images_of(tensor: InputTensor, *, max_images: int, max_pixels: int) -> list[Frame | bytes]:
    """The images in an input: uint8 (H, W, 3) BGR frames, or the bytes of image files.

    Frames may share memory with the tensor.

    Args:
        max_images: largest number of images.
        max_pixels: height times width of the largest frame.

    Raises:
        RequestError: the tensor is invalid.
    """
    check_shape(tensor, max_images)
    if tensor.datatype == "BYTES":
        return [*_files(tensor)]
    height, width = tensor.shape[1:3] if tensor.shape[3] == 3 else tensor.shape[2:4]
    if height * width > max_pixels:
        raise RequestError(
            "the frame is too large", reason="unprocessable", where=place(tensor),
            expected=f"at most {max_pixels} pixels", got=shown(f"{height}x{width}"),
        )  # fmt: skip
    return [*_frames(tensor)]


def is_slow(tensor: InputTensor) -> bool:
    """Whether `images_of` takes more than about a millisecond: it then belongs in a thread."""
    copies = tensor.datatype == "FP32" or tensor.values is not None or tensor.shape[-1:] != (3,)
    size = len(tensor.values or ()) if tensor.raw is None else len(tensor.raw)
    return tensor.datatype != "BYTES" and copies and size > SLOW_ELEMENTS


def check_shape(tensor: InputTensor, max_images: int) -> None:
    """Check data type and shape, not the elements. Raises: RequestError: they are not those of images."""
    where, shape = place(tensor), tensor.shape
    if tensor.datatype not in ELEMENT_BYTES:
        raise RequestError(
            "unsupported datatype", where=where, expected=", ".join(ELEMENT_BYTES), got=shown(tensor.datatype)
        )
    is_files = tensor.datatype == "BYTES"
    expected = f"{tensor.datatype} {'[N] or [N, 1]' if is_files else FRAME_SHAPES}"
    if len(shape) not in ((1, 2) if is_files else (4,)) or min(shape) < 1:
        raise RequestError("invalid shape", where=where, expected=expected, got=_shown_shape(shape))
    if (shape[1:] not in ((), (1,))) if is_files else (3 not in (shape[3], shape[1])):
        raise RequestError("invalid shape", where=where, expected=expected, got=_shown_shape(shape))
    if shape[0] > max_images:
        raise RequestError("too many images", where=where, expected=f"at most {max_images}", got=shown(shape[0]))


def place(tensor: InputTensor) -> str:
    """How messages name a tensor."""
    return "input" if tensor.name is None else f"input {shown(tensor.name)}"


def _shown_shape(shape: tuple[int, ...]) -> str:
    return shown([*shape]) if len(shape) <= 8 else f"{len(shape)} dimensions"


def _frames(tensor: InputTensor) -> list[Frame]:
    import numpy as np

    data = _elements(tensor)
    flat = np.frombuffer(data, np.uint8) if tensor.datatype == "UINT8" else _rounded(tensor, np.frombuffer(data, "<f4"))
    frames = flat.reshape(tensor.shape)
    if tensor.shape[3] != 3:
        frames = frames.transpose(0, 2, 3, 1)
    return [np.ascontiguousarray(frame) for frame in frames]


def _elements(tensor: InputTensor) -> bytes | memoryview:
    """The elements as little-endian bytes; as many as the shape says."""
    count, size = math.prod(tensor.shape), ELEMENT_BYTES[tensor.datatype]
    if tensor.raw is not None:
        if len(tensor.raw) != count * size:
            raise RequestError(
                f"wrong size for {tensor.datatype} {_shown_shape(tensor.shape)}", where=place(tensor),
                expected=f"{count * size} bytes", got=len(tensor.raw),
            )  # fmt: skip
        return tensor.raw
    values = tensor.values or ()
    if len(values) != count:
        raise wrong_count(tensor, len(values))
    if tensor.datatype == "FP32":
        return array("f", values).tobytes()
    try:
        return bytes(iter(values))
    except (ValueError, OverflowError) as error:
        wrong = next(value for value in values if not 0 <= value <= 255)
        raise RequestError("invalid UINT8 value", where=place(tensor), expected="0..255", got=shown(wrong)) from error


def wrong_count(tensor: InputTensor, got: int) -> RequestError:
    """The error for a number of elements that does not match the shape."""
    return RequestError(
        f"wrong number of elements for {tensor.datatype} {_shown_shape(tensor.shape)}", where=place(tensor),
        expected=math.prod(tensor.shape), got=got,
    )  # fmt: skip


def _rounded(tensor: InputTensor, elements: NDArray[np.float32]) -> NDArray[np.uint8]:
    """FP32 pixels as bytes. Raises: RequestError: they are not from 0 to 255."""
    import numpy as np

    pixels = np.empty(len(elements), np.uint8)
    lowest, highest, is_whole = math.inf, -math.inf, True
    for start in range(0, len(elements), PART_ELEMENTS):
        part = elements[start : start + PART_ELEMENTS]
        low, high = float(part.min()), float(part.max())
        if not (low >= 0.0 and high <= 255.0):  # also for NaN
            raise _not_pixels(tensor, "invalid FP32 value", low, high, "as they are: the model normalises them")
        rounded = np.rint(part)
        pixels[start : start + PART_ELEMENTS] = rounded
        lowest, highest = min(lowest, low), max(highest, high)
        is_whole = is_whole and (high > 1.0 or np.array_equal(rounded, part))
    if highest <= 1.0 and not is_whole:
        fix = "as they are, not divided by 255: the model normalises them"
        raise _not_pixels(tensor, "the values look scaled to [0, 1]", lowest, highest, fix)
    return pixels


def _not_pixels(tensor: InputTensor, what: str, low: float, high: float, fix: str) -> RequestError:
    got = "NaN" if math.isnan(low) else f"values from {low:g} to {high:g}"
    return RequestError(what, where=place(tensor), expected="0..255", got=got, fix=f"Send the pixels {fix}")


def _files(tensor: InputTensor) -> list[bytes]:
    if tensor.raw is None:
        files = [*(tensor.values or ())]
        if len(files) != tensor.shape[0]:
            raise wrong_count(tensor, len(files))
        return files
    files, at, data = [], 0, memoryview(tensor.raw)
    while at < len(data):
        start = at + LENGTH_BYTES
        length = int.from_bytes(data[at:start], "little")
        if start + length > len(data):
            raise RequestError(
                f"element {len(files)} ends after the tensor", where=place(tensor),
                expected=f"{LENGTH_BYTES} bytes of length and {length} bytes", got=f"{len(data) - at} bytes",
            )  # fmt: skip
        if len(files) == tensor.shape[0]:
            raise wrong_count(tensor, len(files) + 1)
        files.append(bytes(data[start : start + length]))
        at = start + length
    if len(files) != tensor.shape[0]:
        raise wrong_count(tensor, len(files))
    return files
