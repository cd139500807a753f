"""Whether the largest images that a server accepts fit into the memory that it may use."""

from __future__ import annotations

from ov_mobilenet.devices.memory import memory_limit
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.serving.settings import MIB, ServerSettings

# While an image is decoded and resized: 6 for a progressive JPEG, 10 for a PNG, 12 for a CMYK JPEG, 18 for 16 bits.
BYTES_PER_PIXEL = 18


def memory_warning(settings: ServerSettings, models: int) -> str | None:
    """A warning that clients can make the system end this process, in a container with little memory, or None.

    Args:
        models: number of models; each has decoding threads of its own.
    """
    memory = memory_limit()
    threads = models * (settings.decode_workers or usable_cpus())
    need = threads * settings.max_pixels * BYTES_PER_PIXEL + settings.max_buffered_bytes
    if memory is None or need <= memory:
        return None
    return (
        f"decoding {threads} images of {settings.max_pixels:,} pixels at once and {settings.max_buffered_bytes // MIB} "
        f"MiB of requests may take {need // MIB:,} MiB, and this process may use {memory // MIB:,} MiB: lower "
        "--max-pixels, --decode-workers or --max-buffered-bytes, or the system may end it"
    )
