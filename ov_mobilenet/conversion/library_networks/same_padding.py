"""TensorFlow's SAME padding."""

from __future__ import annotations


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one dimension, so that a convolution gives ceil(size / stride) elements."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
