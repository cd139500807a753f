"""The scans of a JPEG: how many there are, whether any are missing, and whether one has a hole.

Nothing is decoded. Most JPEGs have one scan; a progressive one has about 10, each of which passes over all pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ov_mobilenet.errors import ImageError

# A scan may be empty, but takes its time to decode: a file of 1 MB with 2,000 scans takes minutes.
MAX_SCANS = 100
MAX_SCANNED_PIXELS = 2_500_000_000

_ZEROS = bytes(32)
_START_OF_SCAN = b"\xff\xda"
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # not a stuffed byte, a fill byte or a restart marker
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame
_PROGRESSIVE_SOF = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_DHT, _EOI, _SOI, _SOS = 0xC4, 0xD9, 0xD8, 0xDA


@dataclass(frozen=True)
class Scan:
    """One scan.

    Attributes:
        components: identifiers of the colour components.
        coefficients: those of the 64 in a block that the scan holds.
        is_last: whether no bits of these coefficients are left for a later scan.
        start, end: where its data begin and end in the file.
        can_be_zero: whether a run of zeros is possible in its data.
    """

    components: frozenset[int]
    coefficients: range
    is_last: bool
    start: int
    end: int
    can_be_zero: bool


def check_scans(data: bytes, width: int, height: int, channels: int, warn: Callable[[str], object]) -> bool:
    """Check the scans of a JPEG.

    Args:
        channels: number of colour components.
        warn: called with a description of damage to an image of which all rows are there.

    Returns:
        Whether there is a single scan.

    Raises:
        ImageError: there are too many scans to decode them in a reasonable time, or a colour component has none.
    """
    if _is_simple(data, channels) and _ZEROS not in data:
        return True
    components: list[int] = []
    scans: list[Scan] = []
    most = min(MAX_SCANS, MAX_SCANNED_PIXELS // (width * height))
    for identifiers, scan in _scans(data):
        components = identifiers
        scans.append(scan)
        if len(scans) > most:
            raise ImageError(
                "too many scans in the JPEG to decode it safely",
                expected=f"at most {most} for {width}x{height}",
                got="more",
            )
    _check_coefficients(components, scans, warn)
    if any(not scan.can_be_zero and data.find(_ZEROS, scan.start, scan.end) >= 0 for scan in scans):
        warn("zeros in the place of pixels in the JPEG: the image may be damaged")
    return len(scans) == 1


def end_of_scan(data: bytes) -> int:
    """Where the data of the first scan end."""
    return next((scan.end for _, scan in _scans(data)), len(data))


def _is_simple(data: bytes, channels: int) -> bool:
    """Whether the file has a single scan, with all coefficients of all components. Most are found in this quick way."""
    if data.count(_START_OF_SCAN) != 1:  # an embedded thumbnail has one too
        return False
    position = data.index(_START_OF_SCAN) + 4
    return data[position : position + 1] == bytes((channels,)) and data[position + 2 * channels + 2 :][:1] == b"\x3f"


def _check_coefficients(components: list[int], scans: list[Scan], warn: Callable[[str], object]) -> None:
    is_coarse = False
    for component in components:
        own = [scan for scan in scans if component in scan.components]
        if not any(0 in scan.coefficients for scan in own):
            raise ImageError("broken image (image file is truncated: a colour component is missing)")
        complete = {coefficient for scan in own if scan.is_last for coefficient in scan.coefficients}
        is_coarse = is_coarse or len(complete) < 64
    if is_coarse:
        warn("the last scans of the JPEG are missing: the image is coarse")


def _scans(data: bytes) -> Iterator[tuple[list[int], Scan]]:
    """Yield the identifiers of all components, and each scan up to the end of the image."""
    components: list[int] = []
    is_progressive = False
    first_symbols: dict[int, int] = {}  # by class and number of the Huffman table
    for marker, start, end in _segments(data):
        segment = data[start:end]
        if marker in _SOF and len(segment) > 5:
            components = list(segment[6 : 6 + 3 * segment[5] : 3])
            is_progressive = marker in _PROGRESSIVE_SOF
        elif marker == _DHT:
            first_symbols |= _first_symbols(segment)
        elif marker == _SOS:
            found = _MARKER.search(data, end)
            pixels = end, len(data) if found is None else found.start()
            yield components, _scan(segment, is_progressive, first_symbols, pixels)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker of each segment up to the end of the image, and where its content begins and ends."""
    position = 2
    while (found := _MARKER.search(data, position)) is not None:
        marker = found[1][0]
        position = found.end()
        if marker == _EOI:
            return
        # libjpeg skips a marker that is not valid, without what would be its content, to find a lost restart marker.
        if marker >= 0xC0 and marker != _SOI:
            start = position + 2
            position = max(start, position + int.from_bytes(data[position:start], "big"))
            yield marker, start, position


def _first_symbols(segment: bytes) -> dict[int, int]:
    """The symbol of each Huffman table whose code is all zeros."""
    found: dict[int, int] = {}
    position = 0
    while position + 17 < len(segment):
        found[segment[position]] = segment[position + 17]
        position += 17 + sum(segment[position + 1 : position + 17])
    return found


def _scan(segment: bytes, is_progressive: bool, first_symbols: dict[int, int], pixels: tuple[int, int]) -> Scan:
    count = segment[0] if segment else 0
    components, tables = segment[1 : 1 + 2 * count : 2], segment[2 : 2 + 2 * count : 2]
    first, last, bits = segment[1 + 2 * count : 4 + 2 * count].ljust(3, b"\0")
    if not is_progressive:
        first, last, bits = 0, 63, 0
    # Zeros in the data are repetitions of the symbol whose code is all zeros. If it stands for no coefficient (the end
    # of a block, or no change of the mean), they are an even area. Any other symbol would be one large value in every
    # place of many blocks, which no image has.
    dc, ac = [table >> 4 for table in tables], [0x10 | table & 0x0F for table in tables]
    used = ac if last else dc
    refines_dc = last == 0 and bits >> 4 != 0  # no codes, but one bit for each block
    can_be_zero = refines_dc or all(first_symbols.get(table, 0) & 0x0F == 0 for table in used)
    return Scan(
        frozenset(components), range(first, min(last, 63) + 1), bits & 0x0F == 0, *pixels, can_be_zero=can_be_zero
    )
