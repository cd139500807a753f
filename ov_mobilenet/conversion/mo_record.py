"""The record that the classic Model Optimizer leaves in the IRs it makes: `conversion_parameters` in `rt_info`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from ov_mobilenet.zoo.arguments import Normalisation

if TYPE_CHECKING:
    import openvino as ov

SECTION = "conversion_parameters"
_FOLDERS = ("output_dir",)
_FILES = ("input_model", "saved_model_dir")
_UNSET = ("", "False", "NO", "()", "[]", "{}", "None")


@dataclass(frozen=True)
class MoRecord:
    """What the Model Optimizer says of a conversion.

    Attributes:
        version: as it reports itself.
        parameters: its arguments by name, as it writes them.
    """

    version: str
    parameters: Mapping[str, str]

    @property
    def reverses(self) -> bool:
        """Whether the first and last channel are swapped inside."""
        return self._given("reverse_input_channels") != ""

    @property
    def scales(self) -> bool:
        """Whether a mean or a scale is inside."""
        return any(self._given(name) for name in ("mean_values", "scale_values", "scale"))

    def normalisation(self) -> Normalisation:
        """What is baked in. Raises: ValueError, the numbers cannot be read."""
        return Normalisation(
            mean=_numbers(self._given("mean_values")),
            scale=_numbers(self._given("scale_values") or self._given("scale")),
            reverse_input_channels=self.reverses,
        )

    def facts(self) -> dict[str, str | bool | None]:
        """What a reader wants to know of it, in the Model Optimizer's own words."""
        return {
            "version": self.version,
            "mean_values": self._given("mean_values") or None,
            "scale_values": self._given("scale_values") or self._given("scale") or None,
            "reverse_input_channels": self.reverses,
            "layout": self._given("layout") or None,
        }

    def write(self, model: ov.Model) -> None:
        """Put the record into a model, without the folders: they would make the bytes differ from place to place."""
        for name, value in sorted(self.parameters.items()):
            if name not in _FOLDERS:
                model.set_rt_info(PurePath(value).name if name in _FILES else value, [SECTION, name])

    def _given(self, name: str) -> str:
        value = self.parameters.get(name, "")
        return "" if value in _UNSET else value


def read_mo_record(model: ov.Model) -> MoRecord | None:
    """The Model Optimizer's record of an IR; None if it carries none."""
    # OpenVINO's newer converter writes the section too, but not the version.
    if not model.has_rt_info([SECTION]) or not model.has_rt_info(["MO_version"]):
        return None
    version = model.get_rt_info(["MO_version"]).astype(str)
    names = model.get_rt_info([SECTION]).value
    if not isinstance(names, dict):
        return None
    return MoRecord(version, {name: model.get_rt_info([SECTION, name]).astype(str) for name in names})


def _numbers(text: str) -> tuple[float, ...]:
    """The numbers of `[1,2,3]`, `input[1,2,3]`, `(1,2,3)` or `1`. Raises: ValueError."""
    if not text:
        return ()
    groups = re.findall(r"[\[(]([^\[\]()]*)[\])]", text) or [text]
    if len(groups) != 1:
        raise ValueError(text)
    return tuple(float(part) for part in groups[0].split(","))
