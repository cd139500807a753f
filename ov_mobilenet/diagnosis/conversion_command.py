"""The command that converts a network with a candidate."""

from __future__ import annotations

import glob
import re
import shlex
from pathlib import PurePath

from msgspec import Struct

from ov_mobilenet.conversion.presets import PRESETS
from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.zoo.geometry import Geometry
from ov_mobilenet.zoo.registry import find_folders


class NetworkOrigin(Struct, frozen=True, kw_only=True):
    """Where an IR comes from, as far as it tells.

    Attributes:
        source: file name of the source network.
        name: name of the model.
        geometry: crop and resize that the IR records.
    """

    source: str = "NETWORK"
    name: str = "NAME"
    geometry: Geometry | None = None


def conversion_command(origin: NetworkOrigin, candidate: Candidate) -> str:
    """The `convert` command that bakes a candidate into the source network."""
    name = origin.name if re.fullmatch(r"\w[\w.-]*", origin.name, re.ASCII) else "NAME"
    if find_folders(glob.escape(name)):  # the name of a shipped model cannot be given to another one
        name += "-corrected"
    words = ["ov-mobilenet", "convert", "--source", PurePath(origin.source).name, "--name", name]
    geometry = ["--geometry", str(origin.geometry)] if origin.geometry is not None else []
    return " ".join((shlex.join(words), conversion_options(candidate), shlex.join(geometry))).strip()


def conversion_options(candidate: Candidate) -> str:
    """The options of `convert --source` for a candidate: a preset if there is one, otherwise the numbers."""
    preset = PRESETS.get(candidate.name)
    if preset is not None and preset.normalisation == candidate.normalisation:
        return f"--preset {candidate.name}"
    words = [
        word
        for option, values in (("--mean-values", candidate.mean), ("--scale-values", candidate.scale))
        if values
        for word in (option, ",".join(f"{value:.9g}" for value in values))
    ] or ["--assume", "none"]
    order = "--reverse-input-channels" if candidate.channel_order == "RGB" else "--no-reverse-input-channels"
    return " ".join([*words, order])
