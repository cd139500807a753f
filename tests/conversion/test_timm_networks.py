"""timm's MobileNet V1 to V4 of our own against logits that timm recorded: `tools/record_library_networks.py`."""

from __future__ import annotations

import json
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from library_weights import library_input, library_state

from ov_mobilenet.conversion.library_networks import architectures, build_library_network
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
from ov_mobilenet.zoo.library_network import Argument, LibraryNetwork
from ov_mobilenet.zoo.model import InputInfo

pytest.importorskip("torch")

import torch
from torch import nn

from ov_mobilenet.conversion.sources.library_weights import load_library_module
from ov_mobilenet.conversion.sources.pytorch import read_pytorch

FOLDER = Path(__file__).resolve().parents[1] / "data" / "library_networks"
RECORDED: dict[str, dict[str, Any]] = {
    name: row
    for file in ("timm.json", "timm_v4.json")
    for name, row in json.loads((FOLDER / file).read_text("utf-8"))["networks"].items()
}
CLASSES = 10
# One of each family, the smallest; the others differ in width and depth, which their keys and shapes show.
QUICK = (
    "mobilenetv1_100", "mobilenetv2_035", "mobilenetv3_small_050", "mobilenetv3_rw", "tf_mobilenetv3_small_075",
    "tf_mobilenetv3_small_minimal_100", "mobilenetv4_conv_small_035", "mobilenetv4_conv_blur_medium",
)  # fmt: skip
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.full) for name in RECORDED]


def network_named(name: str, arguments: dict[str, Argument] | None = None, classes: int = CLASSES) -> LibraryNetwork:
    """A network of timm."""
    return LibraryNetwork(library="timm", architecture=name, classes=classes, arguments=arguments or {})


def empty(name: str, arguments: dict[str, Argument] | None = None) -> nn.Module:
    """A module whose weights take no memory."""
    with torch.device("meta"):
        return build_library_network(network_named(name, arguments), (64, 64))


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shape of every key."""
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}


@lru_cache(maxsize=4)
def weights_of(name: str) -> dict[str, torch.Tensor]:
    """The weights for which timm recorded its logits."""
    state = library_state(shapes_of(empty(name)), RECORDED[name]["gain"])
    return {key: torch.from_numpy(np.asarray(values)) for key, values in state.items()}


def loaded(name: str, size: tuple[int, int], arguments: dict[str, Argument] | None = None) -> nn.Module:
    """The module with these weights."""
    module = build_library_network(network_named(name, arguments), size)
    module.load_state_dict(weights_of(name), strict=True)
    return module.eval()


def logits_of(module: nn.Module, size: tuple[int, int]) -> np.ndarray:
    """The logits for the recorded input of one size."""
    with torch.inference_mode():
        return np.asarray(module(torch.from_numpy(library_input(*size)))[0].numpy())


def distance(found: np.ndarray, expected: list[float]) -> float:
    """The largest difference as a share of the range of the logits."""
    return float(np.abs(found - expected).max() / np.ptp(expected))


def sizes_of(name: str) -> list[tuple[tuple[int, int], list[float]]]:
    """The recorded sizes, height and width, and their logits."""
    return [((int(s.split("x")[0]), int(s.split("x")[1])), row) for s, row in RECORDED[name]["logits"].items()]


def written(tmp_path: Path, state: dict[str, torch.Tensor]) -> Path:
    """A safetensors file."""
    from safetensors.torch import save_file

    save_file(state, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_every_recorded_architecture_is_known() -> None:
    assert set(RECORDED) <= set(architectures("timm"))


@pytest.mark.parametrize("name", RECORDED)
def test_keys_and_shapes_are_those_of_timm(name: str) -> None:
    shapes = shapes_of(empty(name))
    text = "\n".join(f"{key} {list(shapes[key])}" for key in sorted(shapes))
    assert (len(shapes), zlib.crc32(text.encode())) == (RECORDED[name]["keys"], RECORDED[name]["keys_crc32"])


@pytest.mark.parametrize("name", NAMES)
def test_the_logits_are_those_of_timm(name: str) -> None:
    for size, expected in sizes_of(name):
        assert distance(logits_of(loaded(name, size), size), expected) < 1e-5, size


def converted(name: str, size: tuple[int, int], folder: Path) -> ov.CompiledModel:
    """The IR of a network in f32, compiled."""
    path = written(folder, weights_of(name))
    plan = ConversionPlan(
        source=SourceNetwork(root="dl_dir", path=path.name), input=InputInfo("data", (1, 3, *size), "NCHW"),
        library_network=network_named(name),
    )  # fmt: skip
    model = read_pytorch(plan, path)
    assert model.inputs[0].partial_shape == ov.PartialShape([-1, 3, *size])
    return ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


@pytest.fixture(scope="module")
def tensorflow_ir(tmp_path_factory: pytest.TempPathFactory) -> ov.CompiledModel:
    """A small network with SAME padding, which differs between height and width at this size."""
    return converted("tf_mobilenetv3_small_075", (65, 71), tmp_path_factory.mktemp("timm"))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities in double precision."""
    values = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(values / values.sum())


def check_answers(run: ov.CompiledModel, name: str, size: tuple[int, int]) -> None:
    """Compare the probabilities of a batch of two images with those of timm."""
    image = library_input(*size)
    swapped, answer = run(np.concatenate([image[:, ::-1], image]))[0]
    logits = RECORDED[name]["logits"][f"{size[0]}x{size[1]}"]
    assert np.abs(softmax(answer) - softmax(np.array(logits))).max() < 5e-5
    assert distance(answer, logits) < 1e-4  # some networks are sure of one class, whatever the image
    assert distance(swapped, logits) > 1e-2  # or the comparison would prove nothing


def test_the_ir_gives_the_probabilities_of_timm(tensorflow_ir: ov.CompiledModel) -> None:
    check_answers(tensorflow_ir, "tf_mobilenetv3_small_075", (65, 71))


@pytest.mark.full
@pytest.mark.parametrize("name", RECORDED)
def test_every_ir_gives_the_probabilities_of_timm(name: str, tmp_path: Path) -> None:
    for size, _ in sizes_of(name):
        check_answers(converted(name, size, tmp_path), name, size)


def test_convolutions_are_fused(tensorflow_ir: ov.CompiledModel) -> None:
    """Padding, activations and residual connections are part of convolutions; squeeze-and-excite leaves a product."""
    nodes = tensorflow_ir.get_runtime_model().get_ops()
    layers = [str(node.get_rt_info()["layerType"].astype(str)) for node in nodes]
    assert layers.count("Convolution") == 53
    assert layers.count("Subgraph") + layers.count("Eltwise") == 9  # one for each squeeze-and-excite
    assert not {"Pad", "Reduce", "Transpose", "Add", "Multiply"} & set(layers)


def test_weights_of_half_precision_are_loaded(tmp_path: Path) -> None:
    name, size = "mobilenetv3_small_050", (64, 64)
    path = written(tmp_path, {key: t.half() for key, t in weights_of(name).items()})  # as timm's .half() does
    found = logits_of(load_library_module(network_named(name), size, path), size)
    assert 1e-6 < distance(found, RECORDED[name]["logits"]["64x64"]) < 0.05


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("mobilenetv2_035", {"global_pool": "catavgmax"}, "global_pool"),
        ("mobilenetv2_035", {"in_chans": 1}, "in_chans"),
        ("mobilenetv2_035", {"num_classes": 11}, "num_classes"),
        ("mobilenetv2_035", {"act_layer": "silu"}, "act_layer"),
        ("mobilenetv2_035", {"pad_type": "valid"}, "pad_type"),
        ("mobilenetv2_035", {"bn_eps": float("nan")}, "bn_eps"),
        ("mobilenetv2_035", {"bn_eps": "1e-3"}, "bn_eps"),
        ("mobilenetv2_035", {"head_bias": False}, "head_bias"),
        ("mobilenetv3_small_050", {"se_layer": "eca"}, "se_layer"),
    ],
)
def test_other_arguments_are_refused_by_name(name: str, arguments: dict[str, Argument], named: str) -> None:
    with pytest.raises(ConversionError, match=named) as caught:
        empty(name, arguments)
    assert repr(arguments[named]) in str(caught.value.got)
    assert "ONNX" in str(caught.value)


@pytest.mark.parametrize("classes", [0, -1, 10**9])
def test_a_number_of_classes_that_no_network_has_is_refused(classes: int) -> None:
    with pytest.raises(ConversionError, match="class"):
        build_library_network(network_named("mobilenetv2_035", classes=classes), (64, 64))


def test_arguments_of_training_change_nothing() -> None:
    arguments: dict[str, Argument] = {
        "drop_rate": 0.2, "drop_path_rate": 0.1, "bn_momentum": 0.01, "in_chans": 3, "num_classes": 10,
        "global_pool": "avg",
    }  # fmt: skip
    found = logits_of(loaded("mobilenetv2_035", (64, 64), arguments), (64, 64))
    assert distance(found, RECORDED["mobilenetv2_035"]["logits"]["64x64"]) < 1e-5


def test_padding_and_epsilon_of_the_configuration_are_taken() -> None:
    """A network of the plain family with the two arguments is the one of the `tf_` family, which has the same keys."""
    size = (64, 64)
    found = logits_of(loaded("mobilenetv3_small_075", size, {"pad_type": "same", "bn_eps": 1e-3}), size)
    assert distance(found, RECORDED["tf_mobilenetv3_small_075"]["logits"]["64x64"]) < 1e-5
    alone: list[dict[str, Argument]] = [{"pad_type": "same"}, {"bn_eps": 1e-3}]
    for arguments in alone:
        found = logits_of(loaded("mobilenetv3_small_075", size, arguments), size)
        assert distance(found, RECORDED["tf_mobilenetv3_small_075"]["logits"]["64x64"]) > 1e-4


def test_a_head_without_a_bias_has_no_key_for_it() -> None:
    assert "conv_head.bias" in shapes_of(empty("mobilenetv3_small_050"))
    assert "conv_head.bias" not in shapes_of(empty("mobilenetv3_small_050", {"head_bias": False}))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("mobilenetv3_smal_100", "mobilenetv3_small_100"),
        ("mobilenet_edgetpu_100", "mobilenetv1_100.*ONNX"),
        ("resnet50", "ONNX"),
    ],
)
def test_an_unknown_architecture_is_refused(given: str, named: str) -> None:
    with pytest.raises(ConversionError, match=f"unknown architecture.*{named}") as caught:
        build_library_network(network_named(given), (64, 64))
    assert caught.value.got == given


@pytest.mark.parametrize("size", [(-1, -1), (0, 64)])
def test_a_size_that_is_not_fixed_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ConversionError, match="fixed size"):
        build_library_network(network_named("tf_mobilenetv3_small_075"), size)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    state = weights_of("mobilenetv2_035")
    path = written(tmp_path, state)

    def refused(pattern: str, name: str = "mobilenetv2_035", classes: int = CLASSES) -> None:
        with pytest.raises(ConversionError, match=pattern) as caught:
            load_library_module(network_named(name, classes=classes), (64, 64), path)
        assert caught.value.where == str(path)

    refused("does not match timm/mobilenetv1_100.*missing .* and .* more", name="mobilenetv1_100")
    refused(
        r"conv_stem.weight does not match timm/mobilenetv2_100.*expected \[32, 3, 3, 3\].*got \[16, 3, 3, 3\]",
        name="mobilenetv2_100",
    )
    refused("another number of classes.*expected 11, got 10", classes=11)
    written(tmp_path, {key: tensor for key, tensor in state.items() if key != "bn2.running_var"})
    refused("missing bn2.running_var; unexpected none")
    written(tmp_path, {**state, "extra.weight": torch.ones(3)})
    refused("missing none; unexpected extra.weight")
    written(tmp_path, {**state, "classifier.bias": torch.full((10,), float("inf"))})
    refused("classifier.bias holds values that are not finite")
