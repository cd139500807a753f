"""Default performance hint and batch size for classifying many images."""

from __future__ import annotations

from dataclasses import replace

from ov_mobilenet.devices.names import parse_device
from ov_mobilenet.devices.settings import DeviceSettings

# A CPU classifies a batch of 4 faster than 4 single images; see tools/bench/README.md. Compiling the model for another
# batch size takes time, which pays off for MANY_IMAGES and more.
MANY_IMAGES, CPU_BATCH = 100, 4


def default_to_throughput(settings: DeviceSettings) -> DeviceSettings:
    """Add the throughput hint, unless the settings contain a hint or a number of streams."""
    return settings if settings.sets_parallelism else replace(settings, hint="throughput")


def settings_for(settings: DeviceSettings, images: int | None) -> tuple[DeviceSettings, int | None]:
    """Device settings and batch size for a number of images; a batch size of None is the model's own.

    Args:
        images: number of images; None if it is not known, which counts as many.
    """
    images = MANY_IMAGES if images is None else images
    chosen = default_to_throughput(settings) if images > 1 else settings
    uses_batch = images >= MANY_IMAGES and not settings.requests_latency and _runs_on_cpu(settings.device)
    return chosen, CPU_BATCH if uses_batch else None


def _runs_on_cpu(device: str) -> bool:
    import openvino as ov

    name = parse_device(device)
    return name.plugin in (None, "AUTO") and name.candidates(ov.Core()) == ("CPU",)
