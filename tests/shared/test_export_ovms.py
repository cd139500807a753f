"""Real networks, exported and replayed as OpenVINO Model Server runs them, answer real photos as `classify` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exporting.ovms_rules import Refused, Replay

import ov_mobilenet as ovm

pytestmark = [pytest.mark.shared, pytest.mark.full]

NETWORKS = {
    "mobilenet-v2-onnx-real": "resize 224",  # mobilenet-v2-pytorch-real has the same weights
    "mobilenet-v1-0.25-128-tf2017": "resize 128",
    "mobilenet-v1-0.25-128-quant-tflite": "resize 128",
}


def rows(classifier: ovm.Classifier, files: list[Path]) -> np.ndarray:
    """The probabilities by class."""
    found = (classifier.classify(file, top_k=classifier.classes).top_k for file in files)
    return np.array([[one.probability for one in sorted(top, key=lambda one: one.class_id)] for top in found])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_server_answers_as_classify(name: str, shared: Path, tmp_path: Path) -> None:
    yml = shared / "zoo" / name / "model.yml"
    folder = tmp_path / "cache"
    exports = {
        bake: ovm.export_ovms(yml, tmp_path / str(bake), bake_geometry=bake, cache_dir=folder) for bake in (False, True)
    }
    servers = {bake: Replay(export.config) for bake, export in exports.items()}
    files, answers = [], {False: [], True: []}  # type: ignore[var-annotated]
    for file in sorted((shared / "imagenet200" / "images").rglob("*.*")):
        try:
            found = {bake: server.infer(name, [file.read_bytes()])[0] for bake, server in servers.items()}
        except Refused as error:
            assert "CHANNELS" in str(error)  # a grey photo
            continue
        files.append(file)
        for bake, row in found.items():
            answers[bake].append(row)
        if len(files) == 20:
            break
    for bake, geometry in ((False, NETWORKS[name]), (True, None)):
        classifier = ovm.load_classifier(
            yml, device="CPU", inference_precision="f32", geometry=geometry, decode="exact", exif_orientation=False,
            cache_dir=folder,
        )  # fmt: skip
        expected, got = rows(classifier, files), np.array(answers[bake])
        assert len(files) == 20
        if bake:
            assert (got.argmax(1) != expected.argmax(1)).sum() <= 1
            assert np.abs(got - expected).mean() < 1e-4
        else:
            assert np.abs(got - expected).max() < 1e-5
        again = ovm.load_classifier(
            exports[bake].models[0].xml, device="CPU", inference_precision="f32", decode="exact", exif_orientation=False
        )
        if not bake:  # the IR keeps the geometry of the model, for `classify` and `serve`
            plain = ovm.load_classifier(
                yml, device="CPU", inference_precision="f32", decode="exact", exif_orientation=False, cache_dir=folder
            )
            assert np.abs(rows(again, files[:10]) - rows(plain, files[:10])).max() < 1e-5
        else:
            assert np.abs(rows(again, files[:10]) - got[:10]).max() < 0.05
