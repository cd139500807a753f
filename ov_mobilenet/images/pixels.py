"""Tell raw pixels from what they are mistaken for: a model with its normalisation inside casts anything silently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import ImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXPECTED = {3: "uint8 (H, W, 3) in BGR, values 0..255", 4: "uint8 (N, H, W, 3) in BGR, values 0..255"}


def check_pixels(frames: NDArray[np.uint8], *, dimensions: int) -> None:
    """Check that an array is a frame (3 dimensions) or a batch of them (4), as a camera gives it.

    Raises:
        ImageError: it is not; floats are named by what they look like.
    """
    import numpy as np

    if not isinstance(frames, np.ndarray):
        raise ImageError("not a frame", expected=EXPECTED[dimensions], got=type(frames).__name__)
    if frames.size and np.issubdtype(frames.dtype, np.floating):
        what, fix = _look(frames)
        raise ImageError(what, expected=EXPECTED[dimensions], got=f"{frames.dtype} {frames.shape}", fix=fix)
    if frames.dtype != np.uint8 or frames.ndim != dimensions or frames.shape[-1] != 3:
        raise ImageError("not a frame", expected=EXPECTED[dimensions], got=f"{frames.dtype} {frames.shape}")
    if frames.size == 0:
        raise ImageError("empty frame", expected="at least one pixel", got=frames.shape)


def _look(frames: NDArray[Any]) -> tuple[str, str]:
    """What floats seem to be, and what to do about it."""
    low, high = float(frames.min()), float(frames.max())
    if low < 0.0:
        return (
            f"the values look normalised already ({low:.3g}..{high:.3g})",
            "The model normalises by itself: give it the pixels as they were read",
        )
    if high <= 1.0:
        return (
            f"the values look scaled to [0, 1] ({low:.3g}..{high:.3g})",
            "The model normalises by itself: give it the pixels as they were read, not divided by 255",
        )
    return "floats instead of bytes", "Convert them: frame.astype(np.uint8)"
