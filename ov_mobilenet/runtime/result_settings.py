"""What the results of a network depend on, as text by name: known before it is compiled."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ov_mobilenet.images.load_image import DecodeMode
    from ov_mobilenet.ir.identity import NetworkIdentity
    from ov_mobilenet.zoo.geometry import Geometry
    from ov_mobilenet.zoo.output_kind import OutputKind


def result_settings(
    identity: NetworkIdentity | None,
    output_kind: OutputKind,
    geometry: Geometry | None,
    labels: tuple[str, ...] | None,
    *,
    inference_precision: str,
    decode: DecodeMode,
    exif_orientation: bool = True,
) -> dict[str, str]:
    """The network and how images get into it; not the device.

    Args:
        identity: None if it is not known; then it is left out.
        geometry: None if images are cropped and resized in the graph.
    """
    names = "" if labels is None else hashlib.sha256("\0".join(labels).encode()).hexdigest()[:16]
    parts = {} if identity is None else msgspec.to_builtins(identity)
    return {
        **{f"network {name.replace('_', ' ')}": value for name, value in parts.items()},
        "output kind": output_kind,
        "geometry": "in the graph" if geometry is None else str(geometry),
        "inference precision": inference_precision,
        "labels": names or "none",
        "decode": decode,
        "EXIF orientation": "applied" if exif_orientation else "ignored",
    }
