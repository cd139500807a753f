"""Strict JSON: the text of a request is split into the elements of its tensor and a small rest, which is checked.

The rest is small, so that a request cannot be many times as large in memory as in its body, and it is read by two
parsers: msgspec checks types, and `json` finds duplicate names, of which msgspec takes the last.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from ov_mobilenet.serving.protocol.client_text import shown
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

# JSON of a request besides the elements of its tensor.
MAX_REST_BYTES = 1 << 16
# Strings, arrays and objects of a request, but for an array of numbers: that of its files, and the rest.
MAX_VALUES = 1 << 17
_PLACEHOLDER = b"null"
_DATA = re.compile(rb'"data"[ \t\r\n]*:[ \t\r\n]*\[')


class _InputData(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw()


class _Skimmed(msgspec.Struct):
    inputs: tuple[_InputData]


_SKIM = msgspec.json.Decoder(_Skimmed)


def split_data(text: bytes) -> tuple[bytes, bytes | None]:
    """Split the JSON of a request with one input.

    Returns:
        The JSON with null as the input's `data`, and the text of the data, which need not be valid JSON; None if there
        are none.

    Raises:
        RequestError: the text is not JSON, is too long without the data, or it has no or several inputs.
    """
    cut = _cut_numbers(text)
    if cut is not None:
        return cut
    if sum(map(text.count, (b'"', b"[", b"{"))) > MAX_VALUES:  # it would take long to find out what it is
        raise RequestError("the JSON has too many values", expected=f"at most {MAX_VALUES} besides numbers")
    start, end = _data_in(text)
    if start == end or text[start:end] == _PLACEHOLDER:
        rest, elements = text, None
    else:
        rest, elements = text[:start] + _PLACEHOLDER + text[end:], text[start:end]
    if len(rest) > MAX_REST_BYTES:
        raise RequestError(
            "the JSON is too long", expected=f"at most {MAX_REST_BYTES} bytes besides the data", got=len(rest)
        )
    return rest, elements


def _cut_numbers(text: bytes) -> tuple[bytes, bytes] | None:
    """The result of `split_data` if the data are an array of numbers, without a parser that reads them; else None."""
    found = _DATA.search(text)
    if found is None:
        return None
    start = found.end() - 1
    # An array of numbers ends before the next name or the end of its object.
    name, end = text.find(b'"', start), text.find(b"}", start)
    stop = min(end, name) if name >= 0 else end
    end = text.rfind(b"]", start, max(stop, 0)) + 1
    if end <= start or len(text) - (end - start) > MAX_REST_BYTES:
        return None
    rest = text[:start] + _PLACEHOLDER + text[end:]
    try:
        begin, _ = _data_in(rest)
    except RequestError:
        return None
    return (rest, text[start:end]) if begin == start else None


def _data_in(text: bytes) -> tuple[int, int]:
    """Start and end of the input's `data`; equal if there are none. Raises: RequestError: see `split_data`."""
    data = memoryview(decode_as(_SKIM.decode, text).inputs[0].data)
    start = _address(data) - _address(text) if data else 0
    return start, start + len(data)


def check_names(text: bytes) -> None:
    """Check that no object has a name twice, and that all text is UTF-8. Raises: RequestError."""
    try:
        json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise_invalid(error)


def decode_as(decode: Callable[[bytes], Any], text: bytes, where: str | None = None) -> Any:
    """The result of a decoder of msgspec. Raises: RequestError."""
    try:
        return decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise_invalid(error, where)


def raise_invalid(error: Exception, where: str | None = None) -> NoReturn:
    """Raise the `RequestError` for an error of a JSON parser."""
    if isinstance(error, RecursionError):
        raise RequestError("the JSON is nested too deeply", where=where) from error
    if isinstance(error, msgspec.ValidationError):
        raise RequestError(f"invalid request ({error})", where=where) from error
    raise RequestError(f"invalid JSON ({shown(str(error))})", where=where) from error


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise RequestError("a name occurs twice in a JSON object", got=shown(twice))


def _address(text: bytes | memoryview) -> int:
    import numpy as np

    address: int = np.frombuffer(text, np.uint8).__array_interface__["data"][0]
    return address
