"""The array types that the drawing passes around."""

import numpy as np
import numpy.typing as npt

#: uint8 (H, W, 3) BGR, 0..255: a finished frame.
Frame = npt.NDArray[np.uint8]
#: float32 (H, W, 3) BGR, nominally 0..255: a frame being painted.
Canvas = npt.NDArray[np.float32]
#: float32 (H, W), in [0, 1]: a mask or a noise field.
Field = npt.NDArray[np.float32]
#: Blue, green, red, each 0..255.
Colour = tuple[float, float, float]


def to_frame(canvas: Canvas) -> Frame:
    """Round and clip a canvas to a frame."""
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
