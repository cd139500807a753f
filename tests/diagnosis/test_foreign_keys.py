"""`describe(diagnose_images=)` and `diagnose` of a checkpoint whose keys match by shape and order only.

The oracle is the module that recorded the statistics.
"""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import pytest

torch = pytest.importorskip("torch")

from recorded_networks import SIDE, natural_images, recorded  # noqa: E402

import ov_mobilenet as ovm  # noqa: E402
from ov_mobilenet.diagnosis import layer_summary  # noqa: E402

IMAGES = natural_images(40, 7)
SHAPE = (1, 3, SIDE, SIDE)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number, frame in enumerate(IMAGES):
        cv2.imwrite(str(folder / f"{number:02}.png"), frame)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A V1 with the published layers, under keys of another library."""
    network = recorded("v1", natural_images(120, 1))
    path = tmp_path_factory.mktemp("weights") / "foreign.pth"
    torch.save({key.replace("features.", "body.layer_"): value for key, value in network.matched.tensors.items()}, path)
    return path


@pytest.mark.full
def test_images_decide_the_layers_and_each_remark_is_logged_once(
    weights: Path, images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ovm.UsageError, match="only by shape and order"):
        ovm.describe(weights, name="x", shape=SHAPE, preset="tensorflow")
    described = ovm.describe(weights, name="x", shape=SHAPE, preset="tensorflow", diagnose_images=images)
    guesses = {guess.name: str(guess) for guess in described.guesses}
    assert guesses["activation"].startswith("activation: relu6, batch-norm statistics 0.001 against 0.00")
    assert guesses["padding"].startswith("padding: same, batch-norm statistics 0.001 against 0.01")
    assert guesses["batch-norm epsilon"].startswith("batch-norm epsilon: 0.001, batch-norm statistics 0.001 against ")
    assert "batch_norm_epsilon: 0.001" in described.model_yml
    with caplog.at_level(logging.WARNING):
        ovm.convert(described, tmp_path, precisions=["FP32"])
    assert caplog.text.count("the keys were matched by shape and order") == 1


@pytest.mark.full
def test_the_command_of_diagnose_gives_the_activation_that_convert_needs(
    weights: Path, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = ovm.diagnose(weights, images, limit=20, geometry=f"resize {SIDE}")
    assert found.layers is not None
    assert layer_summary.layer_options(found.layers)[:2] == ["--activation", "relu6"]
    assert caplog.text.count("the keys were matched by shape and order") == 1
