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
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # not a stuffed byte, a fill byte or a restart marker
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame
_PROGRESSIVE_SOF = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_DHT, _EOI, _SOI, _SOS = 0xC4, 0xD9, 0xD8, 0xDA


@dataclass(frozen=True)
class _Frame:
    components: tuple[int, ...]  # identifiers
    is_progressive: bool


@dataclass(frozen=True)
class _Scan:
    components: frozenset[int]
    coefficients: range  # of the 64 in a block
    is_last: bool  # no bits of these coefficients are left for a later scan
    start: int  # of the data, an offset in the file
    can_be_zero: bool  # a run of zeros is possible in the data


def check_scans(data: bytes, width: int, height: int, warn: Callable[[str], object]) -> bool:
    """Check the scans of a JPEG.

    Args:
        warn: called with a description of damage to an image of which all rows are there.

    Returns:
        Whether all pixels are in one scan, as in most files.

    Raises:
        ImageError: there are too many scans to decode them in a reasonable time, or a colour component has none.
    """
    frame = _Frame((), False)
    scans: list[_Scan] = []
    most = min(MAX_SCANS, MAX_SCANNED_PIXELS // (width * height))
    for frame, scan in _scans(data):
        if not scans and not frame.is_progressive and len(scan.components) == len(frame.components):
            _check_zeros(data, scan, warn)
            return True  # libjpeg reads no further scan
        scans.append(scan)
        if len(scans) > most:
            raise ImageError(
                "too many scans in the JPEG to decode it safely",
                expected=f"at most {most} for {width}x{height}",
                got="more",
            )
    _check_coefficients(frame, scans, warn)
    if _ZEROS in data:
        for scan in scans:
            _check_zeros(data, scan, warn)
    return False


def end_of_scan(data: bytes) -> int:
    """Where the data of the first scan end."""
    return next((_end(data, scan.start) for _, scan in _scans(data)), len(data))


def _end(data: bytes, start: int) -> int:
    found = _MARKER.search(data, start)
    return len(data) if found is None else found.start()


def _check_zeros(data: bytes, scan: _Scan, warn: Callable[[str], object]) -> None:
    zeros = -1 if scan.can_be_zero else data.find(_ZEROS, scan.start)
    if zeros >= 0 and zeros < _end(data, scan.start):
        warn("zeros in the place of pixels in the JPEG: the image may be damaged")


def _check_coefficients(frame: _Frame, scans: list[_Scan], warn: Callable[[str], object]) -> None:
    is_coarse = False
    for component in frame.components:
        own = [scan for scan in scans if component in scan.components]
        if not any(0 in scan.coefficients for scan in own):
            raise ImageError("broken image (image file is truncated: a colour component is missing)")
        complete = {coefficient for scan in own if scan.is_last for coefficient in scan.coefficients}
        is_coarse = is_coarse or len(complete) < 64
    if is_coarse:
        warn("the last scans of the JPEG are missing: the image is coarse")


def _scans(data: bytes) -> Iterator[tuple[_Frame, _Scan]]:
    """Yield each scan up to the end of the image, and the frame it belongs to."""
    frame = _Frame((), False)
    first_symbols: dict[int, int] = {}  # by class and number of the Huffman table
    for marker, start, end in _segments(data):
        segment = data[start:end]
        if marker in _SOF and len(segment) > 5:
            frame = _Frame(tuple(segment[6 : 6 + 3 * segment[5] : 3]), marker in _PROGRESSIVE_SOF)
        elif marker == _DHT:
            first_symbols |= _first_symbols(segment)
        elif marker == _SOS:
            yield frame, _scan(segment, frame.is_progressive, first_symbols, end)


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


def _scan(segment: bytes, is_progressive: bool, first_symbols: dict[int, int], start: int) -> _Scan:
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
    coefficients = range(first, min(last, 63) + 1)
    return _Scan(frozenset(components), coefficients, bits & 0x0F == 0, start, can_be_zero)
