"""A deployment profile: settings that were found best for one IR on one device, and the measurements behind them.

One YAML file of plain data, read as strictly as a description: an unknown key, a wrong type or a value out of range is
an error with file, line and key.

    schema_version: 1
    created: 2026-01-31T12:00:00Z
    model: {name: mine, xml: public/mine/FP16/mine.xml, digest: <SHA-256 over .xml and .bin>}
    device: {name: CPU, full_name: AMD EPYC}
    versions: {openvino: 2026.4.1-…, ov_mobilenet: 0.1.0}
    settings: {batch_size: 8, hint: null, inference_precision: null, streams: 2, threads: null, nireq: 4}
    objective: throughput
    mode: inference
    latency_budget_ms: null
    noise: 0.01
    gain: {ratio: 1.45, low: 1.43, high: 1.47, pairs: 9}
    measurements:
      - {precision: bf16, batch: 8, …, chosen: true}

Settings that are null are left to the device. `xml` is where the IR was, for people: what is checked is the digest.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ov_mobilenet._version import __version__
from ov_mobilenet.devices.settings import DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.errors import ConfigError, UsageError
from ov_mobilenet.ir.files import ir_digest
from ov_mobilenet.zoo.config import convert_document
from ov_mobilenet.zoo.document import load_document

SCHEMA_VERSION = 1
DIGITS_SHOWN = 12

Count = Annotated[int, Meta(ge=1, le=1 << 20)]
Positive = Annotated[float, Meta(gt=0)]

log = logging.getLogger(__name__)


class _Plain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Plain data, and nothing else."""


class ProfiledModel(_Plain, frozen=True, kw_only=True):
    """Which IR; `digest` is SHA-256 over its `.xml` and its `.bin`."""

    name: str
    xml: str
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class ProfiledDevice(_Plain, frozen=True, kw_only=True):
    """As OpenVINO names it, and the hardware."""

    name: str
    full_name: str


class Versions(_Plain, frozen=True, kw_only=True):
    """That it was measured with."""

    openvino: str
    ov_mobilenet: str


class ProfiledSettings(_Plain, frozen=True, kw_only=True):
    """As in `DeviceSettings`, and the images per request."""

    batch_size: Count
    hint: Hint | None = None
    inference_precision: InferencePrecision | None = None
    streams: Count | None = None
    threads: Count | None = None
    nireq: Count | None = None


class Gain(_Plain, frozen=True, kw_only=True):
    """How many times as good as without any settings, with its 95 % interval; null where it cannot be told."""

    ratio: Positive
    low: float | None
    high: float | None
    pairs: Annotated[int, Meta(ge=0)]


class Measured(_Plain, frozen=True, kw_only=True):
    """Medians for one setting.

    Attributes:
        precision: of the weights where they are INT8, else of inference.
        streams, requests: that ran; requests in all.
        on_front: nothing that was measured is better in both throughput and p95.
    """

    precision: str
    batch: Count
    streams: Count | None
    requests: Count
    threads: Count | None
    throughput_fps: Positive
    p95_ms: Positive
    images_per_cpu_s: Positive | None
    images_per_j: Positive | None
    top1: Annotated[float, Meta(ge=0, le=1)] | None
    on_front: bool
    chosen: bool


class Profile(_Plain, frozen=True, kw_only=True):
    """See the module."""

    schema_version: int
    created: str
    model: ProfiledModel
    device: ProfiledDevice
    versions: Versions
    settings: ProfiledSettings
    objective: Literal["throughput", "latency", "efficiency"]
    mode: Literal["inference", "end-to-end"]
    latency_budget_ms: Positive | None
    noise: Annotated[float, Meta(ge=0)]
    gain: Gain | None
    measurements: tuple[Measured, ...]

    def device_settings(self) -> DeviceSettings:
        """What to load a classifier with, beside `settings.batch_size`."""
        chosen = self.settings
        return DeviceSettings(
            device=self.device.name,
            hint=chosen.hint,
            inference_precision=chosen.inference_precision,
            streams=chosen.streams,
            threads=chosen.threads,
            nireq=chosen.nireq,
        )


def load_profile(path: Path | str) -> Profile:
    """Read a profile.

    Raises:
        ConfigError: it cannot be read, or is none, with file, line and key.
    """
    document = load_document(Path(path))
    version = document.data.get("schema_version") if isinstance(document.data, dict) else None
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise document.error(
            "a profile of another version", ("schema_version",), expected=SCHEMA_VERSION, got=version
        )  # fmt: skip
    profile = convert_document(document, Profile)
    try:
        profile.device_settings()
    except UsageError as error:
        raise document.error(error.what, ("settings",), expected=error.expected, got=error.got) from error
    return profile


def check_profile(profile: Profile, where: Path | str, xml: Path) -> None:
    """Check that a profile was made for this IR, device and versions; other versions are warned of.

    Args:
        where: the profile's file, for messages.

    Raises:
        ConfigError: it was made for another IR, or for other hardware under the device's name.
        DeviceError: the device is not there.
    """
    digest = ir_digest(xml)
    if digest != profile.model.digest:
        raise ConfigError(
            "the profile was made for another IR", where=where,
            expected=f"{profile.model.digest[:DIGITS_SHOWN]}… ({profile.model.xml})",
            got=f"{digest[:DIGITS_SHOWN]}… ({xml})", fix=f"Tune this one: ov-mobilenet tune {xml}",
        )  # fmt: skip
    full_name = full_device_name(profile.device.name)
    if full_name != profile.device.full_name:
        raise ConfigError(
            "the profile was made for another device", where=where,
            expected=f"{profile.device.name}: {profile.device.full_name}", got=f"{profile.device.name}: {full_name}",
            fix=f"Tune on this one: ov-mobilenet tune {xml} -d {profile.device.name}",
        )  # fmt: skip
    here = current_versions()
    for name in ("openvino", "ov_mobilenet"):
        made, now = getattr(profile.versions, name), getattr(here, name)
        if made != now:
            log.warning("%s: made with %s %s, run with %s; other settings may be better now", where, name, made, now)


def apply_profile(profile: Profile | Path | str, xml: Path) -> tuple[DeviceSettings, int]:
    """The settings and the images per request of a profile, or of its file, for this IR; errors as `check_profile`."""
    given = isinstance(profile, Profile)
    found = profile if isinstance(profile, Profile) else load_profile(profile)
    check_profile(found, "profile" if given else str(profile), xml)
    return found.device_settings(), found.settings.batch_size


def full_device_name(device: str) -> str:
    """Of the hardware behind a device's name; several are joined by a plus.

    Raises:
        DeviceError: it is not there.
    """
    import openvino as ov

    from ov_mobilenet.devices.names import check_there, parse_device

    core = ov.Core()
    name = parse_device(device)
    check_there(name, core)
    return " + ".join(str(core.get_property(one, "FULL_DEVICE_NAME")) for one in name.candidates(core))


def current_versions() -> Versions:
    """Of what runs here."""
    import openvino as ov

    return Versions(openvino=ov.get_version(), ov_mobilenet=__version__)
