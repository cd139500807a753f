"""Networks as people bring them, in ../shared/outside: each converts without options and gives its known truth.

Keras and Teachable Machine have tests of their own. Skipped without ../shared.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.geometry import apply_geometry

pytestmark = pytest.mark.shared


@dataclass(frozen=True)
class Outside:
    """A network, and what is true of it.

    Attributes:
        said: a part of what `convert` prints.
        top1: least and greatest share of the 200 ImageNet images.
        image: an image beside it, and its class.
        refused: a part of the message with which it is refused.
    """

    said: str = ""
    top1: tuple[float, float] | None = None
    image: tuple[str, int] | None = None
    labels: tuple[str, ...] = ()
    refused: str | None = None


METADATA = "mean_values [127.5], scale_values [127.5] (TFLite Metadata)"
NETWORKS = {
    # 0.57 of 1000 other images, and 0.008 with pixels 0..255.
    "tflite-metadata/mobilenet_v1_0.25_224_1_metadata_1.tflite": Outside(
        METADATA, top1=(0.59, 0.60), labels=("background", "tench")
    ),
    "tflite-metadata/automl_labeler_model.tflite": Outside(
        "normalisation: reverse_input_channels (TFLite Metadata)",
        labels=("daisy", "dandelion", "roses", "sunflowers", "tulips"),
    ),
    "coral-inat/mobilenet_v2_1.0_224_inat_bird_quant.tflite": Outside(
        METADATA, image=("parrot.jpg", 923), labels=("Haemorhous cassinii (Cassin's Finch)",)
    ),
    # 0.45 if the whole image is resized, 0.2 with -1..1, which the names suggest. INT8 with AMX: 0.505.
    "v3-small-atu/Mobilenet_v3_small_quant.tflite": Outside(
        "scale_values [255.0], the quantisation of the input holds 0..1", top1=(0.475, 0.515)
    ),
    # No metadata, and the names of a tf2onnx export of a network that is none of Keras's own.
    "st/mobilenet_v2_128_0.5.onnx": Outside(refused="the normalisation of the network is not known"),
}


@pytest.mark.parametrize("file", NETWORKS)
def test_a_network_from_outside(
    file: str,
    shared: Path,
    images: tuple[list[Path], np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original, truth = shared / "outside" / file, NETWORKS[file]
    if not original.is_file():
        pytest.skip("needs the networks in ../shared/outside")
    # Under another name, because names are no evidence.
    source = Path(shutil.copyfile(original, tmp_path / f"a{original.suffix}"))
    arguments = ["convert", "--source", str(source), "--name", "x", "-o", str(tmp_path / "out"), "--precisions", "FP32"]
    code = main(arguments)
    err = capsys.readouterr().err
    if truth.refused is not None:
        assert code == 2
        assert truth.refused in err
        assert not (tmp_path / "out").exists()
        return
    assert code == 0
    assert truth.said in err
    classifier = ovm.load_classifier(tmp_path / "out/public/x/FP32/x.xml", device="CPU", inference_precision="f32")
    assert (classifier.labels or ())[: len(truth.labels)] == truth.labels
    if truth.image is not None:
        name, index = truth.image
        (best,) = classifier.classify(original.with_name(name), top_k=1).top_k
        assert best.class_id == index
    if truth.top1 is not None:
        geometry = classifier.geometry
        assert geometry is not None
        files, classes = images
        frames = np.stack([apply_geometry(geometry, read_image(path, geometry.reader)) for path in files])
        answer = classifier.probabilities(frames)
        top1 = float((answer.argmax(1) == classes + (answer.shape[1] == 1001)).mean())
        least, most = truth.top1
        assert least <= top1 <= most, top1
