"""The section `model_info` of an IR, which Model API and OpenVINO Model Server read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino as ov

SECTION = "model_info"


def read_model_info(model: ov.Model) -> dict[str, str]:
    """The values of the section as text by name; empty if there is none. Nested sections are left out."""
    if not model.has_rt_info([SECTION]):
        return {}
    section = model.rt_info[SECTION]
    if not isinstance(section, dict):
        return {}
    return {str(name): value.astype(str) for name, value in section.items() if not isinstance(value, dict)}


def write_model_info(model: ov.Model, values: Mapping[str, str]) -> None:
    """Write the values of the section, as `read_model_info` gives them."""
    for name, value in values.items():
        model.set_rt_info(value, [SECTION, name])


def write_labels(model: ov.Model, labels: Iterable[str]) -> None:
    """Write the class names; readers split them at spaces, so those in a name become underscores."""
    model.set_rt_info(" ".join("_".join(label.split()) for label in labels), [SECTION, "labels"])
