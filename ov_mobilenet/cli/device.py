"""Device options of the commands that run a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from ov_mobilenet.cli import options
from ov_mobilenet.devices.settings import (
    HINTS,
    INFERENCE_PRECISIONS,
    DeviceSettings,
    Hint,
    InferencePrecision,
)


@dataclass(frozen=True)
class SharedDeviceFlags:
    """The device options with one value in every command, also in `benchmark`."""

    streams: int | None
    threads: int | None
    nireq: int | None
    pin: bool | None
    model_cache: str | None
    properties: tuple[tuple[str, str], ...]
    fallback: str | None

    def settings(self) -> DeviceSettings:
        """The device settings.

        Raises:
            UsageError: options exclude each other, or a value is invalid.
        """
        return self._settings("AUTO", None, None)

    def _settings(
        self, device: str, hint: Hint | None, inference_precision: InferencePrecision | None
    ) -> DeviceSettings:
        cache: Path | Literal["off"] | None = None
        if self.model_cache is not None:
            cache = "off" if self.model_cache == "off" else Path(self.model_cache)
        return DeviceSettings(
            device=device,
            hint=hint,
            inference_precision=inference_precision,
            streams=self.streams,
            threads=self.threads,
            nireq=self.nireq,
            pinning=self.pin,
            model_cache=cache,
            properties=self.properties,
            fallback=self.fallback,
        )


@dataclass(frozen=True)
class DeviceFlags(SharedDeviceFlags):
    """All device options."""

    device: str
    hint: Hint | None
    inference_precision: InferencePrecision | None

    def settings(self) -> DeviceSettings:
        """See `SharedDeviceFlags.settings`."""
        return self._settings(self.device, self.hint, self.inference_precision)


def device_options(function: options.F) -> options.F:
    """Add `-d/--device`, `--hint`, …; the command receives them as one `DeviceFlags` named `device_options`."""
    function = options.collect_into(DeviceFlags, "device_options")(function)
    for option in reversed((*_CHOICES, *MORE)):
        function = option(function)
    return function


def _key_and_value(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{text!r} does not have the form KEY=VALUE", context, parameter)
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)


_CHOICES = (
    click.option(
        "-d", "--device", default="AUTO", show_default=True, metavar="DEVICE",
        help="CPU, GPU, GPU.1, NPU, AUTO, AUTO:GPU,CPU, MULTI:…, HETERO:… or BATCH:GPU(8); see `devices`.",
    ),
    click.option("--hint", type=click.Choice(HINTS), help="Performance hint (default: chosen by the device)."),
    click.option(
        "--inference-precision", type=click.Choice(INFERENCE_PRECISIONS),
        help="Precision that the device computes in (default: chosen by the device).",
    ),
)  # fmt: skip
# Options with one value each, also in `benchmark`, where several devices, hints and precisions can be given.
MORE = (
    click.option("--streams", type=click.IntRange(min=1), metavar="N", help="Number of streams; excludes --hint."),
    click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads for inference."),
    click.option(
        "--nireq", type=click.IntRange(min=1), metavar="N",
        help="Number of infer requests (default: the optimal number of the device).",
    ),
    click.option("--pin/--no-pin", default=None, help="Bind CPU threads to cores (default: chosen by the device)."),
    click.option(
        "--model-cache", metavar="DIR|off",
        help="Folder for compiled models (default: the user's cache folder for GPU and NPU, and in `classify` also for "
        "the CPU; otherwise off).",
    ),
    click.option(
        "--property", "properties", multiple=True, callback=_key_and_value, metavar="KEY=VALUE",
        help="OpenVINO property, such as SCHEDULING_CORE_TYPE=PCORE_ONLY; repeatable.",
    ),
    click.option("--fallback", metavar="DEVICE", help="Device to run on, with a warning, if --device cannot be used."),
)  # fmt: skip
