"""The sample model in all its exports, with its normalisation hidden, on drawings that it was not trained with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from observed_evidence import observed_answers, observed_statistics, rankings_of_draws, told
from signs import held_out, network_images

from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.diagnose import diagnose_network
from ov_mobilenet.diagnosis.network import NetworkUnderTest
from ov_mobilenet.diagnosis.ranking import rank
from ov_mobilenet.diagnosis.source_network import network_of_source
from ov_mobilenet.inputs.image_subset import PreparedImages
from ov_mobilenet.zoo.geometry import resize_whole_image

EXPORTS = Path(__file__).resolve().parents[1] / "data" / "signs"
MODEL_CONFIGS = Path(__file__).resolve().parents[2] / "model_configs"
DRAWINGS, SIDE = 200, 128
RIGHT = ("tensorflow", "RGB")


@pytest.fixture(scope="module")
def drawings() -> np.ndarray:
    """Uint8 (200, 128, 128, 3) BGR."""
    return np.stack(list(network_images(frame for frame, _ in held_out(2, DRAWINGS))))


def opened(file: str) -> NetworkUnderTest:
    if file.endswith(".pth"):
        pytest.importorskip("torch")
    path = MODEL_CONFIGS / SAMPLE / file if file.endswith(".onnx") else EXPORTS / file
    return network_of_source(path, resize_whole_image(SIDE, SIDE))


@pytest.mark.parametrize(
    "file",
    [
        "road-signs.tflite",
        *(pytest.param(f"road-signs.{suffix}", marks=pytest.mark.full) for suffix in ("onnx", "pb", "pth")),
    ],
)
def test_200_drawings_are_sure_of_the_right_one_and_20_never_of_a_wrong_one(file: str, drawings: np.ndarray) -> None:
    network = opened(file)
    unfolded = file.endswith(".pth")
    assert (network.batch_norm is not None) == unfolded
    by_answers = observed_answers(network, drawings)
    every = [by_answers, observed_statistics(network, drawings)] if unfolded else [by_answers]
    for evidence in every:
        ranking = rank(evidence, drawings, baked=next(one for one in evidence if key(one) == RIGHT))
        assert (told(ranking), ranking.note) == ((*RIGHT, "sure"), None)
        assert not ranking.baked_is_wrong
        for few in rankings_of_draws(evidence, drawings, 20, range(10)):
            assert told(few)[2] != "sure" or told(few)[:2] == RIGHT, few


@pytest.mark.full
def test_a_checkpoint_with_unfolded_batch_norm_is_told_by_it(drawings: np.ndarray) -> None:
    found = diagnose_network("road-signs.pth", opened("road-signs.pth"), PreparedImages(drawings, ()))
    assert (found.best.name, found.best.channel_order, found.verdict) == (*RIGHT, "sure")
    assert found.evidence == "batch_norm"


def key(candidate: Candidate) -> tuple[str, str]:
    return candidate.name, candidate.channel_order


def test_moments_of_a_checkpoint_against_its_convolution_by_hand() -> None:
    torch = pytest.importorskip("torch")
    network = opened("road-signs.pth")
    assert network.batch_norm is not None
    weights = torch.load(EXPORTS / "road-signs.pth", weights_only=True)
    weights = weights.get("state_dict", weights)
    kernel = next(value for value in weights.values() if value.ndim == 4).double().numpy()  # (out, in, 3, 3)
    mean = next(value for key, value in weights.items() if key.endswith("running_mean")).double().numpy()
    variance = next(value for key, value in weights.items() if key.endswith("running_var")).double().numpy()
    np.testing.assert_array_equal(network.batch_norm.stored.mean, mean)
    np.testing.assert_array_equal(network.batch_norm.stored.variance, variance)

    values = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3)) / 127.5 - 1
    found = network.batch_norm.moments(values.astype(np.float32))
    # Stride 2 and TensorFlow's SAME padding: nothing above and on the left of an even size, one below and on the right.
    padded = np.pad(values, ((0, 0), (0, 1), (0, 1), (0, 0)))
    flow = np.zeros((2, len(kernel), SIDE // 2, SIDE // 2))
    for y in range(3):
        for x in range(3):
            window = padded[:, y : y + SIDE : 2, x : x + SIDE : 2]
            flow += np.einsum("nhwc,oc->nohw", window[:, : SIDE // 2, : SIDE // 2], kernel[:, :, y, x])
    np.testing.assert_allclose(found.mean, flow.mean((2, 3)), atol=1e-5)
    np.testing.assert_allclose(found.mean_square, (flow**2).mean((2, 3)), rtol=1e-4, atol=1e-5)
