"""The file `config.json` of OpenVINO Model Server.

Its schema (`src/schema.cpp` of the server) allows no other keys than it knows. Those written here, of each model in
`model_config_list`, below `config`:

    name           the name that clients use
    base_path      the folder of the model's versions, relative to config.json
    layout         NHWC: input files are decoded for it
    batch_size     a number: every request has as many images
    shape          instead of batch_size, with a range as the first number: (1:8,224,224,3)
    target_device  a device name of OpenVINO
    nireq          number of infer requests
    plugin_config  OpenVINO properties, as text

The normalisation is in the graph: `mean`, `scale` and `color_format`, which the server's sources know, would be applied
a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.exporting.repository import model_folder
from ov_mobilenet.exporting.server_form import ServerNetwork


def model_entry(name: str, exported: ServerNetwork, settings: DeviceSettings) -> dict[str, Any]:
    """The entry of a model in `model_config_list`."""
    config: dict[str, Any] = {"name": name, "base_path": model_folder(name), "layout": "NHWC"}
    if exported.batch.is_fixed:
        config["batch_size"] = exported.batch.low
    else:
        assert exported.input_size is not None  # with the geometry in the graph the batch is 1
        height, width = exported.input_size
        config["shape"] = f"({exported.batch},{height},{width},3)"
    config["target_device"] = settings.device
    if settings.nireq is not None:
        config["nireq"] = settings.nireq
    properties: Mapping[str, str] = settings.requested_properties()
    if properties:
        config["plugin_config"] = dict(properties)
    return {"config": config}


def config_json(entries: Sequence[Mapping[str, Any]]) -> str:
    """The text of the file."""
    return msgspec.json.format(msgspec.json.encode({"model_config_list": entries}), indent=2).decode() + "\n"
