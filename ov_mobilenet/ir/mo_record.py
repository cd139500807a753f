"""The record that the classic Model Optimizer leaves in the IRs it makes: `conversion_parameters` in `rt_info`.

OpenVINO's newer `convert_model` writes the same section, but no `MO_version`.
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
_FOLDERS = ("output_dir",)
_FILES = ("input_model", "saved_model_dir")
_UNSET = ("", "False", "NO", "()", "[]", "{}", "None")


@dataclass(frozen=True)
class MoRecord:
    """What the Model Optimizer recorded of a conversion.

    Attributes:
        version: of the Model Optimizer.
        parameters: its arguments by name, as it writes them.
    """

    version: str
    parameters: Mapping[str, str]

    @property
    def reverses(self) -> bool:
        """Whether the first and last channel are swapped in the graph."""
        return _value(self.parameters, "reverse_input_channels") != ""

    @property
    def scales(self) -> bool:
        """Whether a mean or a scale is in the graph."""
        return any(_value(self.parameters, name) for name in ("mean_values", "scale_values", "scale"))

    def normalisation(self) -> Normalisation:
        """The normalisation that is baked in. Raises: ValueError, UsageError if the numbers cannot be read."""
        return Normalisation(
            mean=_numbers(_value(self.parameters, "mean_values")),
            scale=_numbers(_value(self.parameters, "scale_values") or _value(self.parameters, "scale")),
            reverse_input_channels=self.reverses,
        )

    def facts(self) -> dict[str, str | bool | None]:
        """The parameters that matter to whoever feeds the model, as the Model Optimizer spells them."""
        return {
            "version": self.version,
            "mean_values": _value(self.parameters, "mean_values") or None,
            "scale_values": _value(self.parameters, "scale_values") or _value(self.parameters, "scale") or None,
            "reverse_input_channels": self.reverses,
            "layout": _value(self.parameters, "layout") or None,
        }

    def write(self, model: ov.Model) -> None:
        """Write the record into a model, without folders: paths would make the bytes differ between machines."""
        for name, value in sorted(self.parameters.items()):
            if name not in _FOLDERS:
                model.set_rt_info(PurePath(value).name if name in _FILES else value, [SECTION, name])


def conversion_parameters(model: ov.Model) -> dict[str, str]:
    """What `mo` or OpenVINO's `convert_model` recorded of its own arguments, by name; empty if there is nothing."""
    if not model.has_rt_info([SECTION]):
        return {}
    section = model.rt_info[SECTION]
    if not isinstance(section, dict):
        return {}
    return {name: value.astype(str) for name, value in section.items() if not isinstance(value, dict)}


def read_mo_record(model: ov.Model) -> MoRecord | None:
    """The Model Optimizer's record of an IR; None if it carries none."""
    if not model.has_rt_info([SECTION]) or not model.has_rt_info(["MO_version"]):
        return None
    return MoRecord(model.get_rt_info(["MO_version"]).astype(str), conversion_parameters(model))


def recorded_normalisation(model: ov.Model) -> str:
    """The normalisation that `conversion_parameters` names, in the tool's own spelling; empty if none."""
    parameters = conversion_parameters(model)
    return ", ".join(f"{key} {text}" for key in _NORMALISATION_KEYS if (text := _value(parameters, key)))


def _value(parameters: Mapping[str, str], name: str) -> str:
    """A parameter's text; empty if it was not given."""
    text = parameters.get(name, "")
    return "" if text in _UNSET else text


def _numbers(text: str) -> tuple[float, ...]:
    """The numbers of `[1,2,3]`, `input[1,2,3]`, `(1,2,3)` or `1`. Raises: ValueError."""
    if not text:
        return ()
    groups = re.findall(r"[\[(]([^\[\]()]*)[\])]", text) or [text]
    if len(groups) != 1:
        raise ValueError(text)
    return tuple(float(part) for part in groups[0].split(","))
