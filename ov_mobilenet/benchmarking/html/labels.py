"""Labels of the measurements in a report: number, settings, and the settings that distinguish them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ov_mobilenet.benchmarking.measurement import Measurement
from ov_mobilenet.benchmarking.tables import shared_titles
from ov_mobilenet.html.formatting import NONE, figure

# The values of these settings are numbers, or yes and no, so a label contains the name of the setting too.
_NAMED_IN_LABELS = ("rate", "streams", "threads", "pinning", "requests", "batch", "properties")


@dataclass(frozen=True)
class Entry:
    """A measurement with its names.

    Attributes:
        key: its number in tables and plots, from 1.
        label: its network and the settings that are not the same in all measurements.
        settings: all settings by name.
    """

    key: str
    label: str
    settings: dict[str, str]
    measurement: Measurement


@dataclass(frozen=True)
class Entries:
    """The measurements of a report.

    Attributes:
        common: the settings that are the same in all measurements.
        differing: names of the other settings.
    """

    entries: tuple[Entry, ...]
    common: dict[str, str]
    differing: tuple[str, ...]


def label(measurements: Sequence[Measurement]) -> Entries:
    """Number the measurements and label each with the settings in which they differ."""
    shared = shared_titles(measurements)
    settings = [_settings(each, with_file=each.network.title in shared) for each in measurements]
    first = settings[0] if settings else {}
    common = {name: value for name, value in first.items() if all(each[name] == value for each in settings)}
    differing = tuple(name for name in first if name not in common)
    entries = tuple(
        Entry(str(number), _label(own, differing), own, measurement)
        for number, (own, measurement) in enumerate(zip(settings, measurements, strict=True), 1)
    )
    return Entries(entries, common, differing)


def _settings(measurement: Measurement, *, with_file: bool) -> dict[str, str]:
    """Everything that can distinguish two measurements, in reading order."""
    asked = measurement.asked
    return {
        "network": measurement.network.name,
        "weights": measurement.network.precision or NONE,
        "file": measurement.network.xml if with_file else NONE,
        "mode": measurement.mode,
        "rate": NONE if measurement.open_loop is None else f"{figure(measurement.open_loop.rate_fps)} FPS",
        "device": measurement.device,
        "hint": asked.hint or NONE,
        "precision": measurement.inference_precision or NONE,
        "streams": NONE if measurement.num_streams is None else str(measurement.num_streams),
        "threads": NONE if asked.threads is None else str(asked.threads),
        "pinning": NONE if asked.pinning is None else "yes" if asked.pinning else "no",
        "requests": str(measurement.infer_requests),
        "batch": str(measurement.batch),
        "properties": " ".join(f"{name}={value}" for name, value in asked.properties.items()) or NONE,
        "input": asked.input,
        "decoding": asked.decode,
    }


def _label(settings: dict[str, str], differing: Sequence[str]) -> str:
    shown = [name for name in differing if name not in ("network", "input") and settings[name] != NONE]
    values = (f"{name} {settings[name]}" if name in _NAMED_IN_LABELS else settings[name] for name in shown)
    return " · ".join([settings["network"], *values])
