"""Images against the names in a file: `test_deciding_images.py` has the whole way, with real names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import batch_norm_networks as networks
import numpy as np
import pytest
import small_networks as small
from diagnosis.test_layer_summary import LAYERS, RELU6
from diagnosis.test_report import BY_STATISTICS

import ov_mobilenet as ovm
from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.conversion.inspection import inspect_source
from ov_mobilenet.conversion.naming_schemes import torchvision_scheme
from ov_mobilenet.conversion.own_network import UserChoices, draft_description
from ov_mobilenet.diagnosis import summary
from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.decision import decide, decide_by_images
from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.diagnosis.ranking import RankedCandidate, Verdict
from ov_mobilenet.zoo.normalisation import Normalisation

pytest.importorskip("onnx")
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
BAKED = {
    "torchvision RGB": Normalisation(mean=MEAN, scale=STD, reverse_input_channels=True),
    "tensorflow RGB": Normalisation(mean=(127.5,), scale=(127.5,), reverse_input_channels=True),
    "torchvision BGR": Normalisation(mean=MEAN[::-1], scale=STD[::-1]),
}
FRAMES = networks.colour_images()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return networks.save_images(tmp_path_factory.mktemp("images") / "colour", FRAMES)


@pytest.mark.parametrize("trained", BAKED)
def test_images_confirm_names_or_win_over_them(trained: str, images: Path, tmp_path: Path) -> None:
    scheme = torchvision_scheme("mobilenet_v2")
    assert scheme is not None
    facts = replace(
        inspect_source(networks.write_network(tmp_path / "net.onnx", networks.TRAINED[trained], FRAMES)), scheme=scheme
    )
    decision = decide_by_images(facts, UserChoices(), images)
    draft = draft_description("x", facts, decision.choices, decision.findings)
    guess = next(str(guess) for guess in draft.guesses if guess.name == "normalisation")
    name = trained.split()[0]
    if trained == "torchvision RGB":
        assert decision.warnings == ()
        assert guess.startswith(f"normalisation: torchvision, {scheme.evidence}, batch-norm statistics 0.000 against ")
    else:
        (warning,) = decision.warnings
        assert f"{scheme.evidence} suggest torchvision RGB, but 20 images are sure of {trained}, which" in warning
        assert guess.startswith(f"normalisation: {name}, batch-norm statistics 0.000 against ")
    assert draft.description.normalisation == BAKED[trained]


def test_names_decide_if_the_images_do_not(images: Path, tmp_path: Path) -> None:
    facts = inspect_source(small.write_onnx(tmp_path / "net").with_name("small.onnx"))  # random weights
    facts = replace(facts, scheme=torchvision_scheme("mobilenet_v2"))
    decision = decide_by_images(facts, UserChoices(), images)
    (warning,) = decision.warnings
    assert warning.startswith("the images do not decide the normalisation and channel order: 20 images do not decide: ")
    draft = draft_description("x", facts, decision.choices, decision.findings)
    assert draft.description.normalisation == BAKED["torchvision RGB"]


@pytest.mark.parametrize("trained", ["torchvision RGB", "tensorflow RGB"])
def test_what_a_file_declares_wins_over_images_with_a_warning(trained: str, images: Path, tmp_path: Path) -> None:
    facts = inspect_source(networks.write_network(tmp_path / "net.onnx", networks.TRAINED[trained], FRAMES))
    facts = replace(facts, declared=DeclaredInput("config.json", BAKED["torchvision RGB"]))
    decision = decide_by_images(facts, UserChoices(), images)
    draft = draft_description("x", facts, decision.choices, decision.findings)
    assert draft.description.normalisation == BAKED["torchvision RGB"]
    assert any("(config.json)" in guess.value for guess in draft.guesses if guess.name == "normalisation")
    if trained == "torchvision RGB":
        assert decision.warnings == ()
    else:
        (warning,) = decision.warnings
        assert "the images contradict the network, which takes reverse_input_channels, mean_values [123.675" in warning
        assert "(config.json): 20 images are sure of tensorflow RGB" in warning


@pytest.mark.parametrize("verdict", ["likely", "sure"])
def test_layers_are_told_under_the_given_normalisation_unless_the_images_are_sure_of_another(
    verdict: Verdict, tmp_path: Path
) -> None:
    """The fake diagnosis prefers another normalisation than the given one, and ReLU6 under it, otherwise LeakyReLU."""
    facts = replace(
        inspect_source(small.write_onnx(tmp_path / "net").with_name("small.onnx")),
        framework="pytorch", architecture="mobilenet_v2", other_keys=(("features.0.0.weight", "a"),),
    )  # fmt: skip
    other = replace(LAYERS, settings=RELU6.settings, candidates=LAYERS.candidates[::-1], divergence=0.002)

    def diagnose_among(candidates: tuple[Candidate, ...]) -> Diagnosis:
        ranked = sorted(candidates, key=lambda one: (one.name, one.channel_order) != ("tensorflow", "BGR"))
        rows = tuple(RankedCandidate(one, -float(place), 1.0 - place, place == 0) for place, one in enumerate(ranked))
        layers = LAYERS if len(candidates) == 1 else other
        return replace(
            BY_STATISTICS, candidates=rows, verdict=verdict if len(candidates) > 1 else "sure", layers=layers
        )

    decision = decide(facts, UserChoices(preset="tensorflow"), diagnose_among)
    assert decision.choices.activation == ("leaky-relu-0.1" if verdict == "likely" else "relu6")
    assert bool(decision.warnings) == (verdict == "sure")


def test_a_batch_norm_of_vectors_is_not_the_first_one(images: Path, tmp_path: Path) -> None:
    """After the pooling there is no height and no width to take the mean of."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    constants = {
        "filters": rng.normal(0, 1, (8, 3, 3, 3)), "gamma": np.ones(8), "beta": np.zeros(8),
        "mean": rng.normal(0, 1, 8), "variance": np.full(8, 2.0), "dense": rng.normal(0, 1, (12, 8)),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["data", "filters"], ["filtered"]),
        helper.make_node("GlobalAveragePool", ["filtered"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("BatchNormalization", ["flat", "gamma", "beta", "mean", "variance"], ["normal"]),
        helper.make_node("Gemm", ["normal", "dense"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 12])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    path = tmp_path / "vectors.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    assert ovm.diagnose(path, images).evidence == "mutual_information"


def test_one_of_several_outputs(images: Path, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    path = networks.write_network(tmp_path / "net.onnx", networks.TRAINED["tensorflow RGB"], FRAMES)
    model = onnx.load(path)
    model.graph.output.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["n", 8]))
    onnx.save(model, path)
    with pytest.raises(ovm.OvMobilenetError, match="output"):
        ovm.diagnose(path, images)
    found = ovm.diagnose(path, images, output="scores", geometry="resize 32")
    assert (found.best.name, found.best.channel_order) == ("tensorflow", "RGB")
    command = str(summary.advice(found)[-1].command)
    assert command.endswith("--preset tensorflow --output scores --geometry 'resize 32'")
