"""From tensors to images, for both transports; numpy gives the expected frames."""

from __future__ import annotations

import struct
from array import array
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ov_mobilenet.serving.protocol.input_images import images_of
from ov_mobilenet.serving.protocol.messages import InputTensor
from ov_mobilenet.serving.request_errors import RequestError


def images(tensor: InputTensor, max_images: int = 8, max_pixels: int = 1000) -> list[Any]:
    return images_of(tensor, max_images=max_images, max_pixels=max_pixels)


def pixels(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def tensor(datatype: str, shape: tuple[int, ...], raw: bytes | None = None, values: Any = None) -> InputTensor:
    return InputTensor("x", datatype, shape, raw, values)


@pytest.mark.parametrize("shape", [(1, 4, 4, 3), (3, 5, 7, 3), (2, 3, 5, 3), (1, 1, 1, 3), (8, 3, 3, 3)])
def test_frames_with_the_channels_last(shape: tuple[int, ...]) -> None:
    sent = pixels(*shape)
    for tensors in (
        tensor("UINT8", shape, sent.tobytes()),
        tensor("UINT8", shape, values=[*map(int, sent.reshape(-1))]),
        tensor("FP32", shape, sent.astype("<f4").tobytes()),
        tensor("FP32", shape, values=[*map(float, sent.reshape(-1))]),
    ):
        found = images(tensors)
        assert all(frame.dtype == np.uint8 and frame.flags.c_contiguous for frame in found)
        np.testing.assert_array_equal(found, sent)


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (3, 3, 5, 7), (1, 3, 1, 1)])
def test_frames_with_the_channels_first(shape: tuple[int, ...]) -> None:
    sent = pixels(*shape)
    for tensors in (tensor("UINT8", shape, sent.tobytes()), tensor("FP32", shape, sent.astype("<f4").tobytes())):
        found = images(tensors)
        assert all(frame.flags.c_contiguous for frame in found)
        np.testing.assert_array_equal(found, np.moveaxis(sent, 1, 3))


def test_floats_are_rounded_to_the_nearest() -> None:
    sent = [0.0, 0.4, 0.6, 1.5, 2.5, 254.4, 254.6, 255.0, 3.0]
    (frame,) = images(tensor("FP32", (1, 1, 3, 3), struct.pack("<9f", *sent)))
    assert frame.reshape(-1).tolist() == [0, 0, 1, 2, 2, 254, 255, 255, 3]


def test_bytes_that_are_not_aligned() -> None:
    """A tensor begins anywhere in a body."""
    sent = pixels(2, 3, 3, 3).astype("<f4")
    raw = memoryview(b"x" + sent.tobytes())[1:]
    np.testing.assert_array_equal(images(InputTensor("x", "FP32", sent.shape, raw)), sent)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_files(shape: tuple[int, ...]) -> None:
    sent = [b"\xff\xd8", b"", bytes(300)]
    raw = b"".join(struct.pack("<I", len(file)) + file for file in sent)
    assert images(tensor("BYTES", shape, raw)) == sent
    assert images(tensor("BYTES", shape, values=sent)) == sent


def test_black_frames_and_masks_are_frames() -> None:
    for sent in (np.zeros((1, 2, 2, 3), "<f4"), np.ones((1, 2, 2, 3), "<f4")):
        np.testing.assert_array_equal(images(tensor("FP32", sent.shape, sent.tobytes())), sent)


HUGE = 2**62
FRAME, FLOATS = (1, 1, 1, 3), struct.pack


@pytest.mark.parametrize(
    ("given", "words"),
    [
        *((tensor(name, FRAME, b"abc"), ("datatype", "UINT8, FP32, BYTES")) for name in ("INT8", "FP16", "", "uint8")),
        *((tensor("UINT8", shape, b"abc"), ("invalid shape", "[N, H, W, 3] or [N, 3, H, W]")) for shape in (
            (), (3,), (1, 1, 3), (1, 1, 1, 1, 3), (1, 1, 1, 4), (1, 4, 1, 1), (1, 0, 1, 3), (0, 1, 1, 3), (-1, 1, 1, 3),
            (1, -1, -1, 3), (1, -1, 3, 3), (1,) * 1000, (1, 1, 3, 1),
        )),
        *((tensor("BYTES", shape, b"abc"), ("invalid shape", "[N] or [N, 1]")) for shape in (
            (), (1, 2), (1, 1, 1), (0,), (-1,), (1, 0),
        )),
        (tensor("UINT8", (9, 1, 1, 3), bytes(27)), ("too many images", "at most 8, got 9")),
        (tensor("BYTES", (9,), bytes(36)), ("too many images", "at most 8, got 9")),
        (tensor("UINT8", (HUGE, HUGE, HUGE, 3), b"abc"), ("too many images",)),
        (tensor("UINT8", (1, 1, 1, 3), b"ab"), ("expected 3 bytes, got 2",)),
        (tensor("UINT8", (1, 1, 1, 3), b""), ("expected 3 bytes, got 0",)),
        (tensor("UINT8", (1, 1, 1, 3), b"abcd"), ("expected 3 bytes, got 4",)),
        (tensor("FP32", (1, 1, 1, 3), bytes(11)), ("expected 12 bytes, got 11",)),
        (tensor("FP32", (1, 1, 1, 3), bytes(3)), ("expected 12 bytes, got 3",)),
        (tensor("UINT8", (1, 1, 1, 3), values=[1, 2]), ("expected 3, got 2",)),
        (tensor("UINT8", (1, 1, 1, 3), values=[]), ("expected 3, got 0",)),
        (tensor("UINT8", (1, 1, 1, 3)), ("expected 3, got 0",)),
        (tensor("UINT8", (1, 1, 1, 3), values=[1, 2, 300]), ("UINT8", "expected 0..255, got 300")),
        (tensor("UINT8", (1, 1, 1, 3), values=array("I", [1, 2, 2**32 - 1])), ("UINT8", "0..255")),
        *((tensor("FP32", (1, 1, 1, 3), FLOATS("<3f", 1, 2, value)), ("FP32", "0..255", shown)) for value, shown in (
            (float("nan"), "NaN"), (float("inf"), "inf"), (-float("inf"), "-inf"), (-0.1, "-0.1"), (255.1, "255.1"),
            (3e38, "3e+38"),
        )),
        (tensor("FP32", (1, 1, 1, 3), values=[1.0, 2.0, float("nan")]), ("FP32", "NaN")),
        (tensor("FP32", (1, 1, 1, 3), values=[1.0, 2.0, 1e300]), ("FP32", "0..255")),
        (tensor("FP32", (1, 1, 1, 3), FLOATS("<3f", 0.0, 0.5, 1.0)), ("scaled to [0, 1]", "not divided by 255")),
        (tensor("BYTES", (1,), b""), ("expected 1, got 0",)),
        (tensor("BYTES", (1,), b"\x02\0\0"), ("element 0", "3 bytes")),
        (tensor("BYTES", (1,), b"\x03\0\0\0ab"), ("element 0", "3 bytes", "got 6 bytes")),
        (tensor("BYTES", (1,), b"\xff\xff\xff\xffab"), ("element 0", "4294967295 bytes")),
        (tensor("BYTES", (2,), b"\x01\0\0\0a"), ("expected 2, got 1",)),
        (tensor("BYTES", (1,), b"\x01\0\0\0a\x01\0\0\0b"), ("expected 1, got 2",)),
        (tensor("BYTES", (1,), b"\x01\0\0\0a\x09"), ("element 1",)),
        (tensor("BYTES", (2,), values=[b"a"]), ("expected 2, got 1",)),
    ],
)  # fmt: skip
def test_invalid_tensors(given: InputTensor, words: tuple[str, ...]) -> None:
    with pytest.raises(RequestError) as raised:
        images(given)
    message = str(raised.value)
    assert raised.value.http_status == 400
    assert message.startswith('input "x": ') and all(word in message for word in words), message
    assert len(message) < 300


@pytest.mark.parametrize("shape", [(1, 40, 26, 3), (1, 3, 26, 40), (1, 2**40, 2**40, 3)])
def test_a_frame_that_is_too_large_is_refused_before_its_elements_are_looked_at(shape: tuple[int, ...]) -> None:
    with pytest.raises(RequestError, match="at most 1000 pixels, got ") as raised:
        images(tensor("UINT8", shape, b""))
    assert raised.value.http_status == 422


def test_names_of_clients_are_shown_as_text() -> None:
    hostile = InputTensor("\x1b[2J\n" + "x" * 10_000, "\0" * 10_000, FRAME, b"")
    with pytest.raises(RequestError) as raised:
        images(hostile)
    assert str(raised.value).isprintable() and len(str(raised.value)) < 600
