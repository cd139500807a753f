"""The integers from 0 to 255 of a JSON array, without a Python object for each: in a quarter of a parser's time.

Numbers as 12.0, which is how most clients write FP32 pixels, become integers first.
"""

from __future__ import annotations

import math

_OPEN, _CLOSE, _COMMA, _POINT = b"[],."
_SPACES = (b" ", b"\n", b"\r", b"\t")
_ZERO = 48
_CHUNK = 1 << 16  # its arrays stay in the cache, and memory is not returned to the system between operations


def parse_pixels(text: bytes, shape: tuple[int, ...]) -> bytes | None:
    """The elements of a UINT8 tensor.

    Args:
        text: of any content; JSON is not assumed.
        shape: positive.

    Returns:
        One byte an element. None if the text is not an array of as many integers from 0 to 255, flat or nested as
        `shape`, or if it is and has white space behind a number: a parser has to decide.
    """
    count = math.prod(shape)
    if text[:1] != b"[" or text[-1:] != b"]" or len(text) < 2 * count:
        return None
    pixels, others, start = [], [], 0
    is_flat = text.find(b"[", 1) < 0 and text.find(b"]") == len(text) - 1
    while start < len(text):
        end = text.find(b",", start + _CHUNK) + 1 or len(text)
        chunk = _parse_chunk(text[max(0, start - 1) : end], is_flat=is_flat)  # with the comma before it
        if chunk is None:
            return None
        pixels.append(chunk[0])
        others.append(chunk[1][start > 0 :])
        start = end
    values = b"".join(pixels)
    if len(values) != count:
        return None
    return values if b"".join(others) == (brackets((count,)) if is_flat else brackets(shape)) else None


def without_zero_fractions(text: bytes) -> bytes | None:
    """The text of an array with each number as 12.0 written as 12; None if a number has another fraction.

    Args:
        text: of any content; what is no number stays as it is.
    """
    import numpy as np

    parts, start = [], 0
    while start < len(text):
        end = text.find(b",", start + _CHUNK) + 1 or len(text)
        characters = np.frombuffer(text, np.uint8, end - start, start)
        is_point = characters == _POINT
        points = np.flatnonzero(is_point)
        if points.size:
            if points[-1] + 2 >= len(characters):
                return None
            before, fraction, after = (characters.take(points + step) for step in (-1, 1, 2))
            is_end = (after == _COMMA) | (after == _CLOSE) | (after <= ord(" "))
            if not is_end.all() or (fraction != _ZERO).any() or (before - np.uint8(_ZERO) >= 10).any():
                return None
            is_point[1:] |= is_point[:-1].copy()
            characters = characters.take(np.flatnonzero(~is_point))
        parts.append(characters.tobytes())
        start = end
    return b"".join(parts)


def _parse_chunk(text: bytes, *, is_flat: bool) -> tuple[bytes, bytes] | None:
    """The numbers in a part of an array that ends with a comma or bracket, and its brackets and commas.

    Args:
        is_flat: there are no brackets but those around the whole array.
    """
    import numpy as np

    spaces = [space for space in _SPACES if space in text]
    if spaces:
        characters = np.frombuffer(text, np.uint8)
        is_digit = (characters - np.uint8(_ZERO)) < 10
        if (is_digit[:-1] & (characters[1:] <= ord(" "))).any():  # "1 2" is not 12, and every number ends with a comma
            return None
        if not is_flat:
            text = text.translate(None, b"".join(spaces))
    characters = np.frombuffer(text, np.uint8)
    # Operations on whole arrays take a tenth of the time of indexing, so that values are computed everywhere, as if a
    # number ended there, and taken where one ends.
    digits = characters - np.uint8(_ZERO)  # wraps: other characters become 10 or more
    is_digit = digits < 10
    digits *= is_digit
    values = digits.astype(np.uint16)
    values[1:] += digits[:-1] * np.uint8(10)
    # With its dtype, because NumPy 1.26 computes 3 * 100 in uint8, as 44.
    values[2:] += np.multiply(digits[:-2] * is_digit[1:-1], np.uint16(100), dtype=np.uint16)
    pixels = values.take(np.flatnonzero(is_digit[:-1] > is_digit[1:]))
    has_four_digits = is_digit[3:] & is_digit[2:-1] & is_digit[1:-2] & is_digit[:-3]
    starts_with_zero = (is_digit[1:-1] > is_digit[:-2]) & (characters[1:-1] == _ZERO) & is_digit[2:]
    is_misplaced = (is_digit[:-1] & (characters[1:] == _OPEN)) | ((characters[:-1] == _CLOSE) & is_digit[1:])
    if has_four_digits.any() or starts_with_zero.any() or is_misplaced.any() or (pixels.size and pixels.max() > 255):
        return None
    if not is_flat:
        return pixels.astype(np.uint8).tobytes(), characters.take(np.flatnonzero(~is_digit)).tobytes()
    # Counting is enough: a comma or the bracket at the end follows each number.
    commas = np.count_nonzero(characters == _COMMA)
    opened, closed = text[:1] == b"[", text[-1:] == b"]"
    known = np.count_nonzero(is_digit) + commas + opened + closed
    known += sum(np.count_nonzero(characters == ord(space)) for space in spaces)
    if known != len(text):
        return None
    return pixels.astype(np.uint8).tobytes(), b"[" * opened + b"," * commas + b"]" * closed


def brackets(shape: tuple[int, ...]) -> bytes:
    """The brackets and commas of a nested array."""
    text = b"[" + b"," * (shape[-1] - 1) + b"]"
    for size in reversed(shape[:-1]):
        text = b"[" + (text + b",") * (size - 1) + text + b"]"
    return text
