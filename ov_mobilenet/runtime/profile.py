"""Deployment profiles: the best settings found for one IR on one device, with the measurements behind them.

A profile is a YAML file of plain data, validated like a model description: an unknown key, a wrong type or a value out
of range is an error with file, line and key. `tuning.profile_writing` writes it.

    schema_version: 2
    created: 2026-01-31T12:00:00Z
    model: {name: mine, xml: public/mine/FP16/mine.xml, digest: <SHA-256 over .xml and .bin>, identity: {weights: …, …}}
    device: {name: CPU, full_name: AMD EPYC}
    versions: {openvino: 2026.4.1-…, ov_mobilenet: 0.2.0}
    settings: {batch_size: 8, hint: null, inference_precision: null, streams: 2, threads: null, nireq: 4}
    objective: throughput
    mode: inference
    latency_budget_ms: null
    noise: 0.01
    gain: {ratio: 1.45, low: 1.43, high: 1.47, pairs: 9}
    measurements:
      - {precision: bf16, batch: 8, …, chosen: true}

For a setting that is null, the device chooses the value. `noise` is the relative standard deviation of throughput
between repeated measurements. `xml` and `digest` are informative: a profile is for a network, described by `identity`
(see `ir.identity`), so it stays valid when another version converts the same network again. A profile of schema version
1 has no `identity`; it is for the files with its digest.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ov_mobilenet._version import __version__
from ov_mobilenet.argument_types import checked
from ov_mobilenet.devices.settings import DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.errors import ConfigError, UsageError
from ov_mobilenet.ir.files import OpenedIr, ir_digest
from ov_mobilenet.ir.identity import NetworkIdentity, network_identity
from ov_mobilenet.zoo.config import convert_document
from ov_mobilenet.zoo.document import load_document
from ov_mobilenet.zoo.model import Positive

SCHEMA_VERSION = 2
DIGITS_SHOWN = 12

Count = Annotated[int, Meta(ge=1, le=1 << 20)]

log = logging.getLogger(__name__)


class _StrictStruct(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen struct that rejects unknown keys."""


class ProfiledModel(_StrictStruct, frozen=True, kw_only=True):
    """The IR that was tuned.

    Attributes:
        digest: SHA-256 over its `.xml` and its `.bin`.
        identity: the identity of its network; None in a profile of schema version 1.
    """

    name: str
    xml: str
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    identity: NetworkIdentity | None = None


class ProfiledDevice(_StrictStruct, frozen=True, kw_only=True):
    """The device: its name in OpenVINO and the name of the hardware."""

    name: str
    full_name: str


class Versions(_StrictStruct, frozen=True, kw_only=True):
    """The versions that the settings were measured with."""

    openvino: str
    ov_mobilenet: str


class ProfiledSettings(_StrictStruct, frozen=True, kw_only=True):
    """Fields of `DeviceSettings`, and the number of images per request."""

    batch_size: Count
    hint: Hint | None = None
    inference_precision: InferencePrecision | None = None
    streams: Count | None = None
    threads: Count | None = None
    nireq: Count | None = None


class Gain(_StrictStruct, frozen=True, kw_only=True):
    """The score divided by the score of the default settings.

    Attributes:
        low, high: 95 % confidence interval; null with too few pairs.
        pairs: number of pairs of measurements.
    """

    ratio: Positive
    low: float | None
    high: float | None
    pairs: Annotated[int, Meta(ge=0)]


class Measured(_StrictStruct, frozen=True, kw_only=True):
    """The median measurement of one combination of settings.

    Attributes:
        precision: INT8 for an INT8 IR, otherwise the inference precision.
        streams, requests: the values in effect; infer requests in total.
        on_front: on the Pareto front: no other combination is better in both throughput and p95.
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


class Profile(_StrictStruct, frozen=True, kw_only=True):
    """The content of a profile file.

    Attributes:
        schema_version: version of the file.
        created: date and time, as ISO 8601.
        model: the IR that was tuned.
        device: the device that it was tuned on.
        versions: of OpenVINO and ov-mobilenet.
        settings: the best settings; None where the device chooses the value.
        objective, mode, latency_budget_ms: as given to `tune`.
        noise: relative standard deviation of throughput between repeated measurements.
        gain: score divided by that of the default settings; None if they were not compared.
        measurements: the median of each combination of settings.
    """

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
        """The device settings to load a classifier with; the batch size is `settings.batch_size`."""
        chosen = self.settings
        return DeviceSettings(
            device=self.device.name,
            hint=chosen.hint,
            inference_precision=chosen.inference_precision,
            streams=chosen.streams,
            threads=chosen.threads,
            nireq=chosen.nireq,
        )


@checked
def load_profile(path: Path | str) -> Profile:
    """Read a profile.

    Raises:
        ConfigError: the file cannot be read or is not a valid profile; with file, line and key.
    """
    document = load_document(Path(path))
    version = document.data.get("schema_version") if isinstance(document.data, dict) else None
    if isinstance(version, int) and not 1 <= version <= SCHEMA_VERSION:
        raise document.error(
            "unsupported profile version", ("schema_version",), expected=f"1 or {SCHEMA_VERSION}", got=version
        )  # fmt: skip
    profile = convert_document(document, Profile)
    if profile.schema_version > 1 and profile.model.identity is None:
        raise document.error("missing key", ("model", "identity"), expected="the identity of the network")
    try:
        profile.device_settings()
    except UsageError as error:
        raise document.error(error.what, ("settings",), expected=error.expected, got=error.got) from error
    return profile


def check_profile(profile: Profile, where: Path | str, ir: OpenedIr) -> None:
    """Check that a profile was created for this network and this device; log a warning if the versions differ.

    Args:
        where: the profile's file, for messages.
        ir: the IR as it was read, not adapted to run.

    Raises:
        ConfigError: it was created for another network, or for other hardware with the same device name; names the
            parts of the network that differ.
        DeviceError: the device is not available.
    """
    check_profiled_network(profile, where, ir)
    check_profiled_device(profile, where, ir.xml)


def check_profiled_device(profile: Profile, where: Path | str, xml: Path) -> None:
    """Check that a profile was created for this device. Arguments and errors as `check_profile`."""
    full_name = full_device_name(profile.device.name)
    if full_name != profile.device.full_name:
        raise ConfigError(
            "the profile was created for another device", where=where,
            expected=f"{profile.device.name}: {profile.device.full_name}", got=f"{profile.device.name}: {full_name}",
            fix=f"Tune on this device: ov-mobilenet tune {xml} -d {profile.device.name}",
        )  # fmt: skip
    here = current_versions()
    for name in ("openvino", "ov_mobilenet"):
        then, now = getattr(profile.versions, name), getattr(here, name)
        if then != now:
            log.warning(
                "%s: created with %s %s, running %s; other settings may be better now", where, name, then, now
            )  # fmt: skip


def named_profile(profile: Profile | Path | str) -> tuple[Profile, str]:
    """A profile, read if it is a file, and its name for messages. To be called before the model is downloaded.

    Raises:
        ConfigError: the file cannot be read or is not a valid profile.
    """
    return (profile, "profile") if isinstance(profile, Profile) else (load_profile(profile), str(profile))


def check_profiled_network(profile: Profile, where: Path | str, ir: OpenedIr) -> None:
    """Check that a profile was created for this network. Arguments and errors as `check_profile`."""
    tuned = profile.model
    fix = f"Tune this IR: ov-mobilenet tune {ir.xml}"
    if tuned.identity is None:
        digest = ir_digest(ir.xml)
        if digest != tuned.digest:
            raise ConfigError(
                "the profile was created by version 0.1 for other files, or for the same network converted by another "
                "version", where=where, expected=f"{tuned.digest[:DIGITS_SHOWN]}… ({tuned.xml})",
                got=f"{digest[:DIGITS_SHOWN]}… ({ir.xml})", fix=fix,
            )  # fmt: skip
        return
    differences = tuned.identity.differences(network_identity(ir))
    if differences:
        raise ConfigError(
            f"the profile was created for another network; different {', '.join(name for name, _, _ in differences)}",
            where=where,
            expected="; ".join(f"{name} {then}" for name, then, _ in differences) + f" ({tuned.xml})",
            got="; ".join(f"{name} {now}" for name, _, now in differences) + f" ({ir.xml})", fix=fix,
        )  # fmt: skip


def apply_profile(profile: Profile, where: str, ir: OpenedIr) -> tuple[DeviceSettings, int]:
    """The device settings and batch size of a profile for this IR. Arguments and errors as `check_profile`."""
    check_profile(profile, where, ir)
    return profile.device_settings(), profile.settings.batch_size


def full_device_name(device: str) -> str:
    """The name of the hardware behind a device name; several are joined by " + ".

    Raises:
        DeviceError: the device is not available.
    """
    import openvino as ov

    from ov_mobilenet.devices.names import check_available, parse_device

    core = ov.Core()
    name = parse_device(device)
    check_available(name, core)
    return " + ".join(str(core.get_property(one, "FULL_DEVICE_NAME")) for one in name.candidates(core))


def current_versions() -> Versions:
    """The versions of OpenVINO and of this package."""
    import openvino as ov

    return Versions(openvino=ov.get_version(), ov_mobilenet=__version__)
