"""What is chosen when the user asks for nothing: the hint and the batch size that classify many images fast."""

from __future__ import annotations

from dataclasses import replace

from ov_mobilenet.devices.names import parse_device
from ov_mobilenet.devices.settings import DeviceSettings

# A CPU takes less time for several images in one request than one after another; see tools/bench/README.md. Compiling
# for another batch size pays off from this many images on.
MANY_IMAGES, CPU_BATCH = 100, 4


def throughput_unless_asked(settings: DeviceSettings) -> DeviceSettings:
    """The settings with the throughput hint, unless they hold a hint or a number of streams."""
    return settings if settings.sets_parallelism else replace(settings, hint="throughput")


def settings_for(settings: DeviceSettings, images: int | None) -> tuple[DeviceSettings, int | None]:
    """Settings and batch size for so many images; a batch size of None is the model's own.

    Args:
        images: how many; None if that is not known.
    """
    images = MANY_IMAGES if images is None else images
    chosen = throughput_unless_asked(settings) if images > 1 else settings
    return chosen, CPU_BATCH if images >= MANY_IMAGES and _is_cpu(settings.device) else None


def _is_cpu(device: str) -> bool:
    import openvino as ov

    name = parse_device(device)
    return name.plugin in (None, "AUTO") and name.candidates(ov.Core()) == ("CPU",)
