"""Pixels of decoding and of geometries against those recorded on x86-64.

Pillow computes in integers and libjpeg-turbo's NEON code gives the bits of its SSE code. OpenCV's resizes are in
fixed point, but choose other code on other processors and in other versions, and may round a value differently.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import portable_cases as cases
import pytest
from numpy.typing import NDArray

from ov_mobilenet.images.load_image import DecodeMode, load_image
from ov_mobilenet.zoo.geometry import parse_geometry

# The largest difference allowed, in grey levels.
LIMITS = {"pillow": 0, "opencv": 1}
FILES = [name for name in cases.kinds_of_files() if name != "large.jpg"]


@pytest.fixture(scope="module")
def recorded() -> dict[str, NDArray[np.uint8]]:
    with np.load(cases.PIXELS) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return dict(cases.files_of(cases.FILES))


def levels(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("decode", ["exact", "auto"])
@pytest.mark.parametrize("words", list(cases.GEOMETRIES))
def test_geometries_have_the_pixels_of_x86(
    words: str, decode: DecodeMode, recorded: dict[str, NDArray[np.uint8]], measured: Callable[[str], None]
) -> None:
    found = [
        levels(load_image(cases.frame(*size), parse_geometry(words), decode).frame, recorded[f"{words}, {size}"])
        for size in cases.SIZES
    ]
    if max(found):
        measured(f"{words}, {decode}: up to {max(found)} grey levels")
    limit = LIMITS["pillow" if "pillow" in words else "opencv"]
    assert max(found) <= (2 if decode == "auto" and "pillow" in words else limit)


@pytest.mark.parametrize("decode", ["exact", "auto"])
@pytest.mark.parametrize("name", FILES)
def test_files_are_decoded_to_the_pixels_of_x86(
    name: str,
    decode: DecodeMode,
    files: dict[str, bytes],
    recorded: dict[str, NDArray[np.uint8]],
    measured: Callable[[str], None],
) -> None:
    for reader in ("opencv", "pillow"):
        found = levels(load_image(files[name], None, decode, reader=reader).frame, recorded[name])
        if found:
            measured(f"{name}, {decode}, {reader}: up to {found} grey levels")
        # OpenCV converts CMYK with another rounding than Pillow, whose pixels are recorded.
        assert found <= (1 if (name, reader) == ("cmyk.jpg", "opencv") else 0), reader


@pytest.mark.parametrize("words", cases.REDUCED_GEOMETRIES)
def test_large_jpegs_are_decoded_small_as_on_x86(
    words: str,
    files: dict[str, bytes],
    recorded: dict[str, NDArray[np.uint8]],
    measured: Callable[[str], None],
) -> None:
    geometry = parse_geometry(words)
    frame = load_image(files["large.jpg"], geometry, "auto").frame
    found = levels(frame, recorded[f"{words}, auto"])
    measured(f"{words} of a large JPEG, auto: up to {found} grey levels")
    assert found <= 1
    # This test needs a JPEG that is really decoded at a fraction of its size.
    assert levels(frame, load_image(files["large.jpg"], geometry, "exact").frame) > 0
