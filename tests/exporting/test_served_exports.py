"""`serve DIR` runs what the exports wrote, with the answers of the models that they were made of."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from ov_mobilenet import Server, ServerSettings, export_kserve, export_ovms, find_config, load_classifier

SAMPLE = "mobilenet-v1-0.25-128-signs"
SIGNS = sorted((find_config(SAMPLE).folder / "samples").glob("*.jpg"))


def probabilities(url: str, model: str, image: Path) -> list[float]:
    request = urllib.request.Request(f"{url}/v1/classify?model={model}&top_k=16", image.read_bytes())
    with urllib.request.urlopen(request, timeout=60) as response:
        found = json.load(response)["predictions"]
    return [one["probability"] for one in sorted(found, key=lambda one: one["class_id"])]


def test_every_form_of_an_export_is_served(tmp_path: Path) -> None:
    export_ovms({"baked": SAMPLE}, tmp_path / "baked", bake_geometry=True)
    kserve = export_kserve({"Kserve.1": SAMPLE}, tmp_path / "kserve", storage_uri="s3://bucket", batch="1:8")
    given = [tmp_path / "baked" / "config.json", tmp_path / "kserve"]
    settings = ServerSettings(port=0, grpc_port=None)
    classifier = load_classifier(SAMPLE, device="CPU", inference_precision="f32")
    with Server(given, settings, device="CPU", inference_precision="f32") as server:
        assert server.repository.names == ("baked", "Kserve.1")
        for image in SIGNS[:2]:
            found = classifier.classify(image, top_k=16).predictions
            expected = [one.probability for one in sorted(found, key=lambda one: one.class_id)]
            for name in server.repository.names:
                assert probabilities(server.url, name, image) == pytest.approx(expected, abs=2e-6), name
    assert kserve.services[0].service == "kserve-1"
