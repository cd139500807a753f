"""From an input tensor to images: data type, shape and payload are checked, every message names what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import Frame
    from ov_mobilenet.serving.messages import InputTensor


def images_of(tensor: InputTensor, *, max_images: int) -> list[Frame | bytes]:
    """The images in an input: uint8 (H, W, 3) BGR frames, or the bytes of image files.

    Args:
        tensor: UINT8 or FP32 `[N, H, W, 3]` or `[N, 3, H, W]`, 0..255, or BYTES `[N]` or `[N, 1]`.

    Raises:
        RequestError: the tensor is invalid.
    """
    import numpy as np

    if tensor.datatype == "BYTES" and tensor.raw is not None:
        images: list[Frame | bytes] = []
        data, at = bytes(tensor.raw), 0
        while at < len(data):
            length = int.from_bytes(data[at : at + 4], "little")
            images.append(data[at + 4 : at + 4 + length])
            at += 4 + length
        return images
    dtype = {"UINT8": np.uint8, "FP32": np.float32}.get(tensor.datatype)
    if dtype is None:
        raise RequestError(
            "unsupported datatype", where=tensor.name, expected="UINT8, FP32, BYTES", got=tensor.datatype
        )
    flat = np.asarray(tensor.values, dtype).reshape(-1) if tensor.raw is None else np.frombuffer(tensor.raw, dtype)
    frames = flat.reshape(tensor.shape)
    if tensor.shape[-1] != 3:
        frames = frames.transpose(0, 2, 3, 1)
    return list(np.ascontiguousarray(frames.astype(np.uint8)))
