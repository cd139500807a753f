"""Classify images with a served model and Model API: HOST:PORT/v2/models/NAME IMAGE... as arguments, JSON on stdout.

Runs in an environment with Model API and `tritonclient[http]`, not in that of the tests. One list per image:
{"class_id", "label", "score"} of the five best classes. Nothing is configured but their number: Model API must find the
rest in the model's metadata.
"""

from __future__ import annotations

import json
import sys

import cv2
from model_api.adapters import OVMSAdapter
from model_api.models import ClassificationModel, Model


def main(address: str, images: list[str]) -> None:
    """Print the answers."""
    model = Model.create_model(OVMSAdapter(address), configuration={"topk": 5})
    if not isinstance(model, ClassificationModel):
        sys.exit(f"Model API takes the served model for another kind: {type(model).__name__}")
    answers = []
    for image in images:
        best = model(cv2.imread(image)).top_labels
        answers.append([{"class_id": int(b.id), "label": b.name, "score": float(b.confidence)} for b in best])
    print(json.dumps(answers))


main(sys.argv[1], sys.argv[2:])
