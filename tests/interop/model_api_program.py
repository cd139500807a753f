"""Classify images with Model API: IR.xml IMAGE... as arguments, JSON on stdout.

Run in an environment with Model API, not in that of the tests. One list per image: {"class_id", "label", "score"} of
the five best classes (or all, if there are fewer) at f32. Only device and precision are configured: Model API must find
the rest in the IR.
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
    classes = adapter.get_model().output(0).partial_shape[1].get_length()
    model = Model.create_model(adapter, configuration={"topk": min(5, classes)})
    if not isinstance(model, ClassificationModel):
        sys.exit(f"Model API takes the IR for another kind of model: {type(model).__name__}")
    answers = []
    for image in images:
        best = model(cv2.imread(image)).top_labels
        answers.append([{"class_id": int(b.id), "label": b.name, "score": float(b.confidence)} for b in best])
    print(json.dumps(answers))


main(sys.argv[1], sys.argv[2:])
