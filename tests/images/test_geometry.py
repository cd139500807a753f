"""Crops and resizes compared bit for bit with direct calls of Pillow and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.zoo.geometry import parse_geometry

sizes = st.tuples(st.integers(20, 700), st.integers(20, 700))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(size=sizes)
def test_torchvision_geometry(size: tuple[int, int]) -> None:
    # torchvision: Resize(256) gives int(256 * long / short); CenterCrop rounds half a pixel to even.
    height, width = size
    frame = noise(height, width)
    new_height, new_width = (int(256 * height / width), 256) if height > width else (256, int(256 * width / height))
    resized = Image.fromarray(frame).resize((new_width, new_height), Image.Resampling.BILINEAR)
    top, left = round((new_height - 224) / 2.0), round((new_width - 224) / 2.0)
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224)))
    assert np.array_equal(apply_geometry(parse_geometry("resize 256 greater pillow, crop 224"), frame), expected)


@settings(max_examples=60, deadline=None)
@given(size=sizes)
def test_tensorflow_geometry(size: tuple[int, int]) -> None:
    height, width = size
    frame = noise(height, width)
    h, w = int(height * 0.875), int(width * 0.875)
    top, left = (height - h) // 2, (width - w) // 2
    expected = cv2.resize(frame[top : top + h, left : left + w], (128, 128))
    assert np.array_equal(apply_geometry(parse_geometry("crop 0.875, resize 128"), frame), expected)


@settings(max_examples=30, deadline=None)
@given(size=sizes)
def test_v3_geometry(size: tuple[int, int]) -> None:
    frame = noise(*size)
    expected = cv2.resize(frame, (256, 256))[16:240, 16:240]
    assert np.array_equal(apply_geometry(parse_geometry("resize 256, crop 224"), frame), expected)


def test_bicubic_and_rectangular_sizes() -> None:
    frame = noise(90, 70)
    expected = cv2.resize(frame, (48, 64), interpolation=cv2.INTER_CUBIC)
    assert np.array_equal(apply_geometry(parse_geometry("resize 64x48 bicubic"), frame), expected)
    expected = np.asarray(Image.fromarray(frame).resize((48, 64), Image.Resampling.BICUBIC))
    assert np.array_equal(apply_geometry(parse_geometry("resize 64x48 bicubic pillow"), frame), expected)


def test_a_frame_smaller_than_the_crop_is_enlarged() -> None:
    assert apply_geometry(parse_geometry("crop 64"), noise(30, 90)).shape == (64, 64, 3)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1)])
def test_extreme_aspect_ratios_give_an_error_or_the_right_size(shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), 7, np.uint8)
    for words in ("resize 256 greater pillow, crop 224", "crop 0.875, resize 224", "crop 224"):
        try:
            assert apply_geometry(parse_geometry(words), frame).shape == (224, 224, 3)
        except ImageError as error:
            assert "too extreme" in str(error)
