"""Check that arrays hold raw pixels: a model with baked normalisation would silently accept other values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.image_files import MAX_PIXELS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_BYTES = 1 << 32

EXPECTED_FRAMES = {3: "uint8 (H, W, 3) in BGR, values 0..255", 4: "uint8 (N, H, W, 3) in BGR, values 0..255"}


def check_frames(frames: NDArray[np.uint8], *, dimensions: int) -> None:
    """Check that an array is a frame (3 dimensions) or a batch of frames (4).

    Raises:
        ImageError: it is not. For floats the message says whether they look normalised or scaled.
    """
    import numpy as np

    if not isinstance(frames, np.ndarray):
        raise ImageError("not a frame", expected=EXPECTED_FRAMES[dimensions], got=type(frames).__name__)
    # Before anything reads it: an array can be far larger than its memory (np.broadcast_to).
    if frames.ndim == dimensions and frames.shape[-3] * frames.shape[-2] > MAX_PIXELS:
        got = f"{frames.shape[-3]}x{frames.shape[-2]}"
        raise ImageError("the frame is too large", expected=f"at most {MAX_PIXELS} pixels", got=got)
    if frames.nbytes > MAX_BYTES:
        raise ImageError("the array is too large", expected=f"at most {MAX_BYTES} bytes at once", got=frames.nbytes)
    if frames.size and np.issubdtype(frames.dtype, np.floating):
        what, fix = _describe_floats(frames)
        raise ImageError(what, expected=EXPECTED_FRAMES[dimensions], got=f"{frames.dtype} {frames.shape}", fix=fix)
    if frames.dtype != np.uint8 or frames.ndim != dimensions or frames.shape[-1] != 3:
        raise ImageError("not a frame", expected=EXPECTED_FRAMES[dimensions], got=f"{frames.dtype} {frames.shape}")
    if frames.size == 0:
        raise ImageError("the frame is empty", expected="at least one pixel", got=frames.shape)


def _describe_floats(frames: NDArray[Any]) -> tuple[str, str]:
    """A description of the values, and how to correct them."""
    low, high = float(frames.min()), float(frames.max())
    if low < 0.0:
        return (
            f"the values look normalised already ({low:.3g}..{high:.3g})",
            "Pass the pixels as they were read: the model normalises them",
        )
    if high <= 1.0:
        return (
            f"the values look scaled to [0, 1] ({low:.3g}..{high:.3g})",
            "Pass the pixels as they were read, not divided by 255: the model normalises them",
        )
    return "floats instead of bytes", "Convert them with frame.astype(np.uint8)"
