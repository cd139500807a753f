"""What is chosen for the user by how many pictures there are."""

from __future__ import annotations

from dataclasses import replace

from ov_mobilenet.runtime.device_names import parse_device
from ov_mobilenet.runtime.device_settings import DeviceSettings

# A CPU does several pictures at a time in less time than one after another; see tools/bench/README.md.
MANY, CPU_BATCH = 100, 4


def choices(settings: DeviceSettings, pictures: int | None) -> tuple[DeviceSettings, int | None]:
    """The settings with a hint where more than one picture comes and none is given, and the pictures a request.

    The second is None for the model's own.

    Args:
        pictures: how many; None for many, if nobody knows.
    """
    pictures = MANY if pictures is None else pictures
    if pictures > 1 and not {"PERFORMANCE_HINT", "NUM_STREAMS"} & settings.asked().keys():
        settings = replace(settings, hint="throughput")
    return settings, CPU_BATCH if pictures >= MANY and _is_cpu(settings.device) else None


def _is_cpu(device: str) -> bool:
    import openvino as ov

    name = parse_device(device)
    return name.plugin in (None, "AUTO") and name.candidates(ov.Core()) == ("CPU",)
