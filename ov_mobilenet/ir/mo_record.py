"""The section `conversion_parameters` that the classic Model Optimizer writes to the `rt_info` of its IRs.

OpenVINO's `convert_model` writes the same section, but not `MO_version`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from ov_mobilenet.zoo.normalisation import Normalisation

if TYPE_CHECKING:
    import openvino as ov

SECTION = "conversion_parameters"
_NORMALISATION_KEYS = ("mean_values", "scale_values", "scale", "reverse_input_channels")
_FOLDER_KEYS = ("output_dir",)
_PATH_KEYS = ("input_model", "saved_model_dir")
_UNSET_VALUES = ("", "False", "NO", "()", "[]", "{}", "None")


@dataclass(frozen=True)
class MoRecord:
    """The Model Optimizer's record of one conversion.

    Attributes:
        version: version of the Model Optimizer.
        parameters: the arguments of the conversion by name, in the Model Optimizer's spelling.
    """

    version: str
    parameters: Mapping[str, str]

    @property
    def reverses_channels(self) -> bool:
        """Whether the graph reverses the channels."""
        return _value(self.parameters, "reverse_input_channels") != ""

    @property
    def has_mean_or_scale(self) -> bool:
        """Whether the graph subtracts a mean or divides by a scale."""
        return any(_value(self.parameters, name) for name in ("mean_values", "scale_values", "scale"))

    def normalisation(self) -> Normalisation:
        """The normalisation that is baked in.

        Raises:
            ValueError: mean or scale is not one list of numbers.
            UsageError: mean or scale does not have one or three numbers, or a number is out of range.
        """
        return Normalisation(
            mean=_numbers(_value(self.parameters, "mean_values")),
            scale=_numbers(_value(self.parameters, "scale_values") or _value(self.parameters, "scale")),
            reverse_input_channels=self.reverses_channels,
        )

    def facts(self) -> dict[str, str | bool | None]:
        """The parameters that define the input, in the Model Optimizer's spelling."""
        return {
            "version": self.version,
            "mean_values": _value(self.parameters, "mean_values") or None,
            "scale_values": _value(self.parameters, "scale_values") or _value(self.parameters, "scale") or None,
            "reverse_input_channels": self.reverses_channels,
            "layout": _value(self.parameters, "layout") or None,
        }

    def write(self, model: ov.Model) -> None:
        """Write the record to a model, without folders: paths would make the bytes differ between machines."""
        for name, value in sorted(self.parameters.items()):
            if name not in _FOLDER_KEYS:
                model.set_rt_info(PurePath(value).name if name in _PATH_KEYS else value, [SECTION, name])


def conversion_parameters(model: ov.Model) -> dict[str, str]:
    """The arguments that `mo` or OpenVINO's `convert_model` recorded, by name; empty if there is no such section."""
    if not model.has_rt_info([SECTION]):
        return {}
    section = model.rt_info[SECTION]
    if not isinstance(section, dict):
        return {}
    return {name: value.astype(str) for name, value in section.items() if not isinstance(value, dict)}


def read_mo_record(model: ov.Model) -> MoRecord | None:
    """The Model Optimizer's record in an IR; None if there is none."""
    if not model.has_rt_info([SECTION]) or not model.has_rt_info(["MO_version"]):
        return None
    return MoRecord(model.get_rt_info(["MO_version"]).astype(str), conversion_parameters(model))


def recorded_normalisation(model: ov.Model) -> str:
    """The normalisation in `conversion_parameters`, in the Model Optimizer's spelling; empty if there is none."""
    parameters = conversion_parameters(model)
    return ", ".join(f"{key} {text}" for key in _NORMALISATION_KEYS if (text := _value(parameters, key)))


def _value(parameters: Mapping[str, str], name: str) -> str:
    """The text of a parameter; empty if it was not set."""
    text = parameters.get(name, "")
    return "" if text in _UNSET_VALUES else text


def _numbers(text: str) -> tuple[float, ...]:
    """The numbers in `[1,2,3]`, `input[1,2,3]`, `(1,2,3)` or `1`. Raises: ValueError."""
    if not text:
        return ()
    groups = re.findall(r"[\[(]([^\[\]()]*)[\])]", text) or [text]
    if len(groups) != 1:
        raise ValueError(text)
    return tuple(float(part) for part in groups[0].split(","))
