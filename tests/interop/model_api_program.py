"""Run in an environment with Model API, not in the tests' own: IR.xml IMAGE... in, JSON on stdout.

One list an image: {"class_id", "label", "score"} of the five best classes, as Model API gives them at f32. Nothing is
said to Model API but what runs where: all else it must find in the IR.
"""

from __future__ import annotations

import json
import sys

import cv2
from model_api.adapters import OpenvinoAdapter
from model_api.models import ClassificationModel, Model
from openvino import Core


def main(xml: str, images: list[str]) -> None:
    adapter = OpenvinoAdapter(Core(), xml, device="CPU", plugin_config={"INFERENCE_PRECISION_HINT": "f32"})
    model = Model.create_model(adapter, configuration={"topk": 5})
    if not isinstance(model, ClassificationModel):
        sys.exit(f"Model API takes the IR for another kind of model: {type(model).__name__}")
    answers = []
    for image in images:
        best = model(cv2.imread(image)).top_labels
        answers.append([{"class_id": int(b.id), "label": b.name, "score": float(b.confidence)} for b in best])
    print(json.dumps(answers))


main(sys.argv[1], sys.argv[2:])
