"""`--exact`: the pixels and the precision that accuracy is measured with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from ov_mobilenet.cli.options import F
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import UsageError
from ov_mobilenet.images.load_image import DecodeMode

_PRECISION = "INFERENCE_PRECISION_HINT"


def exact_option(function: F) -> F:
    """`--exact`, as the parameter `exact`."""
    return click.option(
        "--exact", is_flag=True,
        help="Compute in f32 and decode exactly, as `accuracy` does: slower, the same as `--inference-precision f32 "
        "--decode exact`.",
    )(function)  # fmt: skip


def exact_settings(
    context: click.Context, decode: DecodeMode, settings: DeviceSettings, profile: Path | None
) -> tuple[DecodeMode, DeviceSettings]:
    """The decode mode and the device settings of `--exact`; those of a profile are checked, not changed.

    Raises:
        UsageError: another precision or decode mode is requested, also by the profile.
        ConfigError: the profile is invalid.
    """
    if decode != "exact" and context.get_parameter_source("decode") != ParameterSource.DEFAULT:
        raise _contradiction("--decode", "--decode exact, or none", decode)
    if profile is not None:
        from ov_mobilenet.runtime.profile import load_profile

        tuned = load_profile(profile).settings.inference_precision
        if tuned != "f32":
            raise _contradiction(
                "the profile", "a profile that was tuned with --precision f32", tuned or "the device's choice"
            )
        return "exact", settings
    precision = settings.requested_properties().get(_PRECISION)
    if precision is None:
        return "exact", replace(settings, inference_precision="f32")
    if precision != "f32":
        raise _contradiction("the inference precision", "f32, or none", precision)
    return "exact", settings


def _contradiction(what: str, expected: str, got: str) -> UsageError:
    return UsageError(f"--exact contradicts {what}", expected=expected, got=got)
