"""The elements of a tensor in JSON, flat or nested as its shape: text to numbers or files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from ov_mobilenet.serving.protocol.input_images import place, wrong_count
from ov_mobilenet.serving.request_errors import RequestError
from ov_mobilenet.serving.rest.json_documents import decode_as, raise_invalid
from ov_mobilenet.serving.rest.json_pixels import brackets, parse_pixels, without_zero_fractions

if TYPE_CHECKING:
    from ov_mobilenet.serving.protocol.messages import InputTensor

_NUMBERS = b"0123456789+-.eE \t\r\n"
_WITHOUT_BRACKETS = bytes.maketrans(b"[]", b"  ")
# Numbers become Python objects, many times as large as their text, which is why they are read in parts of this length.
_PART = 1 << 16
_ANY = msgspec.json.Decoder(msgspec.Raw)
_INTEGERS = msgspec.json.Decoder(list[int])
_FLOATS = msgspec.json.Decoder(list[float])
_FILES = msgspec.json.Decoder(list[bytes])
_NESTED_FILES = msgspec.json.Decoder(list[tuple[bytes]])


def uint8_elements(text: bytes, tensor: InputTensor) -> bytes:
    """The elements of a UINT8 tensor.

    Args:
        text: the data, of any content.
        tensor: with a valid shape.

    Raises:
        RequestError: they are not an array of integers from 0 to 255, flat or nested as the shape.
    """
    pixels = parse_pixels(text, tensor.shape)
    if pixels is not None:
        return pixels
    read = bytearray()
    for values in _numbers(text, tensor, _INTEGERS):
        try:
            read += bytes(values)
        except (ValueError, OverflowError) as error:
            wrong = next(index for index, value in enumerate(values) if not 0 <= value <= 255)
            raise RequestError(
                "invalid UINT8 value", where=place(tensor), expected="0..255",
                got=f"{values[wrong]} as element {len(read) + wrong}",
            ) from error  # fmt: skip
    if len(read) != math.prod(tensor.shape):
        raise wrong_count(tensor, len(read))
    return bytes(read)


def fp32_elements(text: bytes, tensor: InputTensor) -> memoryview:
    """The elements of an FP32 tensor, little-endian; see `uint8_elements`. What FP32 cannot hold becomes infinity."""
    import numpy as np

    whole = without_zero_fractions(text)
    pixels = None if whole is None else parse_pixels(whole, tensor.shape)
    if pixels is not None:
        return memoryview(np.frombuffer(pixels, np.uint8).astype("<f4").tobytes())
    read = bytearray()
    with np.errstate(over="ignore"):
        for values in _numbers(text, tensor, _FLOATS):
            read += np.array(values, "<f4").tobytes()
    if len(read) != 4 * math.prod(tensor.shape):
        raise wrong_count(tensor, len(read) // 4)
    return memoryview(read)


def bytes_elements(text: bytes, tensor: InputTensor) -> list[bytes]:
    """The elements of a BYTES tensor, which are base64 in JSON; see `uint8_elements`."""
    count = text.count(b",") + 1
    if count > tensor.shape[0]:
        raise wrong_count(tensor, count)
    if len(tensor.shape) == 2 and text[1:].lstrip()[:1] == b"[":
        return [file for (file,) in _decode_files(_NESTED_FILES, text, tensor)]
    files: list[bytes] = _decode_files(_FILES, text, tensor)
    return files


def _decode_files(decoder: msgspec.json.Decoder[Any], text: bytes, tensor: InputTensor) -> Any:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise RequestError(
            f"invalid BYTES value ({error})", where=place(tensor), expected="image files as base64 text"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise_invalid(error, place(tensor))


def _numbers(text: bytes, tensor: InputTensor, decoder: msgspec.json.Decoder[Any]) -> Iterator[list[Any]]:
    """The numbers of an array, in parts."""
    if text[:1] != b"[" or text[-1:] != b"]":
        decode_as(decoder.decode, text, place(tensor))  # raises: it is another value
    if b"[" in text[1:]:
        decode_as(_ANY.decode, text, place(tensor))
        count = math.prod(tensor.shape)
        if count > len(text) or text.translate(None, _NUMBERS) != brackets(tensor.shape):
            raise RequestError(
                "the data are neither flat nor nested as the shape", where=place(tensor), expected=[*tensor.shape]
            )
        text = b"[" + text.translate(_WITHOUT_BRACKETS) + b"]"
    start, read = 1, 0
    while start < len(text):
        end = text.find(b",", start + _PART)
        end = end if end >= 0 else len(text) - 1
        part = text[start:end]
        if not part.strip() and text[1:-1].strip():
            part = b","  # nothing behind the last comma: the decoder raises its error
        try:
            values = decoder.decode(b"[" + part + b"]")
        except msgspec.ValidationError as error:
            raise _with_index(error, read, tensor) from error
        except msgspec.DecodeError:
            decode_as(_ANY.decode, text, place(tensor))  # raises, with the position in the whole array
            raise
        yield values
        read += len(values)
        start = end + 1


def _with_index(error: msgspec.ValidationError, read: int, tensor: InputTensor) -> RequestError:
    """The error with the index in the whole array, of which `read` numbers were read before the part."""
    text = re.sub(r" - at `\$\[(\d+)\]`$", lambda found: f" as element {read + int(found[1])}", str(error))
    return RequestError(f"invalid {tensor.datatype} value ({text})", where=place(tensor))
