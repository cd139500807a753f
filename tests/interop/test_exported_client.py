"""The Python client in an export, with tritonclient unchanged, over HTTP and gRPC, against `serve`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from served_process import CLIENTS, python_of, serving

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE

pytestmark = pytest.mark.serve


def test_the_client_prints_the_classes_and_probabilities_of_classify(tmp_path: Path) -> None:
    python = python_of(CLIENTS)
    export = ovm.export_ovms({"signs": SAMPLE}, tmp_path / "out", cache_dir=tmp_path / "cache")
    xml = export.models[0].xml
    images = sorted((ovm.find_config(SAMPLE).folder / "samples").glob("*.jpg"))[:3]
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    with serving({"signs": xml}, tmp_path) as server:
        for options in (["--url", server.http], ["--url", server.grpc, "--grpc"]):
            done = subprocess.run(
                [python, "-I", export.folder / "clients" / "classify.py", "signs", *images, *options],
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            printed = re.split(r"^/.*\.jpg\n", done.stdout, flags=re.MULTILINE)[1:]
            assert len(printed) == len(images)
            for image, text in zip(images, printed, strict=True):
                best = classifier.classify(image).best
                probability, class_id, label = text.splitlines()[0].split(maxsplit=2)
                assert (int(class_id), label) == (best.class_id, best.label)
                assert float(probability) == pytest.approx(best.probability, abs=1e-4)
                assert len(text.splitlines()) == 5
