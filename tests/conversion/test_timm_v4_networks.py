"""MobileNet V4 of timm: the graph that OpenVINO's CPU plugin runs, and its answers against timm's recorded ones."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from library_weights import library_input, library_state

from ov_mobilenet.conversion.library_networks import build_library_network
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
from ov_mobilenet.zoo.library_network import LibraryNetwork
from ov_mobilenet.zoo.model import InputInfo

pytest.importorskip("torch")

import torch

from ov_mobilenet.conversion.sources.pytorch import read_pytorch

RECORDED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[1] / "data" / "library_networks" / "timm_v4.json").read_text("utf-8")
)["networks"]
SIZE = (65, 71)  # the feature maps have odd and unequal sides: 5x5, then 3x3
CONVOLUTIONAL, HYBRID = "mobilenetv4_conv_small_035", "mobilenetv4_hybrid_medium_075"
# Most format changes only rename dimensions: the convolutions keep channels last in memory.
WITHOUT_WORK = {"Const", "Input", "Output", "Reshape", "Reorder"}


def network(name: str, **arguments: str) -> LibraryNetwork:
    """A network with the recorded number of classes."""
    return LibraryNetwork(library="timm", architecture=name, classes=10, arguments=dict(arguments))


F32 = {"INFERENCE_PRECISION_HINT": "f32"}


def converted(name: str, folder: Path) -> ov.Model:
    """A network with any number of images and with the weights for which timm's logits are recorded."""
    from safetensors.torch import save_file

    with torch.device("meta"):
        shapes = {k: tuple(t.shape) for k, t in build_library_network(network(name), SIZE).state_dict().items()}
    state = {k: torch.from_numpy(np.asarray(v)) for k, v in library_state(shapes, RECORDED[name]["gain"]).items()}
    save_file(state, folder / "model.safetensors")
    plan = ConversionPlan(
        source=SourceNetwork(root="dl_dir", path="model.safetensors"), input=InputInfo("data", (1, 3, *SIZE), "NCHW"),
        library_network=network(name),
    )  # fmt: skip
    model = read_pytorch(plan, folder / "model.safetensors")
    assert not {"ShapeOf", "Gather"} & {node.get_type_name() for node in model.get_ops()}  # it computes no shapes
    return model


@pytest.fixture(scope="module", params=[CONVOLUTIONAL, pytest.param(HYBRID, marks=pytest.mark.full)])
def network_and_ir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return request.param, converted(request.param, tmp_path_factory.mktemp("v4"))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities in double precision."""
    values = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(values / values.sum())


def test_a_batch_gets_the_probabilities_of_timm(network_and_ir: tuple[str, ov.Model]) -> None:
    name, model = network_and_ir
    run = ov.compile_model(model, "CPU", F32)
    image = library_input(*SIZE)
    answers = run(np.concatenate([image[:, ::-1], image, image[:, :, ::-1]]))[0]
    wanted = softmax(np.array(RECORDED[name]["logits"][f"{SIZE[0]}x{SIZE[1]}"]))
    assert np.abs(softmax(answers[1]) - wanted).max() < 5e-5
    for other in (0, 2):  # swapped channels, and upside down: or the comparison would prove nothing
        assert np.abs(softmax(answers[other]) - wanted).max() > 1e-3


def test_activations_residuals_and_layer_scale_are_part_of_convolutions(
    network_and_ir: tuple[str, ov.Model],
) -> None:
    name, model = network_and_ir
    static = model.clone()
    static.reshape([2, 3, *SIZE])
    nodes = ov.compile_model(static, "CPU", F32).get_runtime_model().get_ops()
    found = Counter(str(node.get_rt_info()["layerType"].astype(str)) for node in nodes)
    layers = {layer: count for layer, count in found.items() if layer not in WITHOUT_WORK}
    if name == CONVOLUTIONAL:
        assert layers == {"Convolution": 46, "Reduce": 1, "FullyConnected": 1}
    else:
        # Four batch norms before reduced keys and values, and eight attentions: two products and a softmax each.
        assert layers == {"Convolution": 120, "Reduce": 1, "FullyConnected": 1, "Subgraph": 12}


def test_the_same_network_of_another_size_has_the_same_keys() -> None:
    with torch.device("meta"):
        modules = [build_library_network(network(HYBRID), size) for size in ((224, 224), (256, 320))]
    first, second = ({key: t.shape for key, t in module.state_dict().items()} for module in modules)
    assert first == second


@pytest.mark.parametrize(("argument", "value"), [("act_layer", "gelu"), ("aa_layer", "blurpc"), ("global_pool", "max")])
def test_other_arguments_are_refused_by_name(argument: str, value: str) -> None:
    with pytest.raises(ConversionError, match=argument) as caught, torch.device("meta"):
        build_library_network(network(CONVOLUTIONAL, **{argument: value}), SIZE)
    assert "ONNX" in str(caught.value)
