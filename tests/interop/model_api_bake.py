"""Let Model API bake a normalisation: NETWORK CONFIGURATION (JSON) OUTPUT.xml as arguments.

Run in an environment with Model API, not in that of the tests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import openvino
from model_api.models import Model


def main(network: str, configuration: str, xml: str) -> None:
    model = openvino.convert_model(network)
    model.reshape([1, 3, 128, 128])
    raw = Path(xml).with_name("raw.xml")
    openvino.save_model(model, raw)
    baked = Model.create_model(str(raw), model_type="Classification", configuration=json.loads(configuration))
    baked.save(xml)


main(*sys.argv[1:])
