"""The four architectures: published sizes, one block computed by hand, and the width found from shapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.conversion.architectures import ARCHITECTURES, MobileNetSpec, build, identify, spec_of
from ov_mobilenet.conversion.architectures.blocks import Block, backbone, round_channels
from ov_mobilenet.conversion.architectures.weights import weight_channels
from ov_mobilenet.errors import ConversionError

V1, V2, SMALL, LARGE = ARCHITECTURES


def shapes_of(
    architecture: str, width: float, classes: int = 1000, hidden: int | None = None
) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights, without torch and without kernel sizes."""
    hidden = backbone(architecture, width).hidden if hidden is None else hidden
    network = MobileNetSpec(architecture=architecture, width=width, classes=classes, hidden=hidden)
    return {
        key: (*value, 1, 1) if key.startswith("features") else value for key, value in weight_channels(network).items()
    }


def state_shapes(module: Any) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


# Trainable numbers with 1000 classes. V1's are those of Keras' MobileNet; the others were counted in torchvision's
# own modules (0.28), whose published figures are those of width 1.0.
PARAMETERS = {
    (V1, 1.0): 4_231_976,
    (V1, 0.75): 2_585_560,
    (V1, 0.5): 1_331_592,
    (V1, 0.25): 470_072,
    (V2, 1.0): 3_504_872,
    (V2, 0.75): 2_636_424,
    (V2, 0.5): 1_968_680,
    (V2, 0.35): 1_677_128,
    (V2, 0.25): 1_519_112,
    (V2, 1.4): 6_108_776,
    (SMALL, 1.0): 2_542_856,
    (SMALL, 0.75): 1_653_920,
    (SMALL, 0.5): 917_264,
    (SMALL, 0.25): 374_272,
    (SMALL, 1.4): 4_373_824,
    (LARGE, 1.0): 5_483_032,
    (LARGE, 0.75): 3_377_576,
    (LARGE, 0.35): 997_064,
    (LARGE, 1.4): 9_989_328,
}


@pytest.mark.parametrize(("architecture", "width"), PARAMETERS)
def test_the_number_of_parameters_matches_the_published_one(architecture: str, width: float) -> None:
    pytest.importorskip("torch")
    module = build(spec_of(architecture, shapes_of(architecture, width)))
    assert sum(parameter.numel() for parameter in module.parameters()) == PARAMETERS[architecture, width]
    keys = {V1: 137 + 27, V2: 314, SMALL: 244, LARGE: 312}[architecture]
    assert len(module.state_dict()) == keys


def test_parameters_of_v1_computed_by_hand() -> None:
    """Width 0.25 and 16 classes, the size of the built-in sample, computed from the table of the paper."""
    torch = pytest.importorskip("torch")
    outputs = [16, 32, 32, 64, 64, *[128] * 6, 256, 256]
    inputs = [8, *outputs[:-1]]
    convolutions = 27 * 8 + sum(9 * i + i * o for i, o in zip(inputs, outputs, strict=True))
    batch_norm = 2 * (8 + sum(inputs) + sum(outputs))
    module = build(spec_of(V1, shapes_of(V1, 0.25, classes=16)))
    assert sum(p.numel() for p in module.parameters()) == convolutions + batch_norm + 256 * 16 + 16
    assert [m.stride[0] for m in module.modules() if isinstance(m, torch.nn.Conv2d)].count(2) == 5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("width", [1.0, 0.75, 0.5, 0.35, 0.25, 1.3, 1.4, 0.05, 0.15, 0.62, 0.333, 1.95, 3.7])
def test_architecture_width_and_classes_are_identified_from_shapes(architecture: str, width: float) -> None:
    given = shapes_of(architecture, width, classes=7)
    found = identify(given)
    assert found is not None
    assert (found.architecture, found.classes) == (architecture, 7)
    assert (
        shapes_of(architecture, found.width, classes=7, hidden=found.hidden) == given
    )  # the same channels, if by another width
    if width in (1.0, 0.75, 0.5, 0.35, 0.25, 1.3, 1.4):
        assert found.width == width


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_complete_state_dict_is_identified(architecture: str) -> None:
    pytest.importorskip("torch")
    state = state_shapes(build(spec_of(architecture, shapes_of(architecture, 0.5, classes=3))))
    found = identify(state)
    assert found is not None and (found.architecture, found.width, found.classes) == (architecture, 0.5, 3)
    without_counters = {key: shape for key, shape in state.items() if not key.endswith("num_batches_tracked")}
    assert identify(without_counters) == found


@pytest.mark.parametrize("key", ["features.3.conv.1.0.weight", "classifier.1.weight", "features.18.0.weight"])
def test_a_state_dict_without_a_layer_is_not_identified(key: str) -> None:
    given = shapes_of(V2, 1.0)
    del given[key]
    assert identify(given) is None


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 512)},
        {f"features.{i}.weight": (64, 64, 3, 3) for i in range(19)},
        {**shapes_of(V2, 1.0), "extra.weight": (1, 1)},
        {"features.0.0.weight": (32, 3, 3, 3)},
    ],
)
def test_other_networks_are_not_identified(given: dict[str, tuple[int, ...]]) -> None:
    assert identify(given) is None


def test_v3_may_have_another_classifier_size_than_its_width_gives() -> None:
    """Keras keeps 1280 features at widths below 1.0; torchvision does not."""
    given = shapes_of(LARGE, 0.75, hidden=1280)
    found = identify(given)
    assert found is not None and (found.width, found.hidden) == (0.75, 1280)
    pytest.importorskip("torch")
    assert build(spec_of(LARGE, given)).classifier[0].out_features == 1280


@pytest.mark.parametrize(
    ("architecture", "key", "shape", "expected"),
    [
        (V1, "features.5.conv.1.0.weight", (200, 256, 1, 1), r"\[256, 256, \.\.\.\] at width 1\b"),
        (V2, "features.9.conv.2.weight", (60, 384, 1, 1), r"\[64, 384, \.\.\.\] at width 1\b"),
        (SMALL, "features.7.block.2.fc1.weight", (24, 120, 1, 1), r"\[32, 120, \.\.\.\] at width 1\b"),
        (LARGE, "classifier.3.weight", (1000, 1000), r"\[1000, 1280, \.\.\.\] at width 1\b"),
    ],
)
def test_the_error_for_a_pruned_network_names_the_first_mismatch(
    architecture: str, key: str, shape: tuple[int, ...], expected: str
) -> None:
    given = {**shapes_of(architecture, 1.0), key: shape}
    message = rf"{key} matches no width of {architecture}: expected {expected}, got \[{shape[0]}, .*to ONNX and convert"
    for look in (identify, lambda shapes: build(spec_of(architecture, shapes))):
        with pytest.raises(ConversionError, match=message):
            look(given)


@pytest.mark.parametrize(
    ("architecture", "key", "shape"),
    [
        *((architecture, "features.0.0.weight", (10**7, 3, 3, 3)) for architecture in ARCHITECTURES),
        (LARGE, "classifier.0.weight", (10**9, 960)),
        (V2, "classifier.1.weight", (10**9, 1280)),
        (SMALL, "classifier.3.weight", (10**9, 1024)),
    ],
)
def test_excessive_sizes_are_refused_before_building(architecture: str, key: str, shape: tuple[int, ...]) -> None:
    given = {**shapes_of(architecture, 1.0), key: shape}
    for look in (identify, lambda shapes: build(spec_of(architecture, shapes))):
        with pytest.raises(
            ConversionError, match=rf"{key} is too large: expected at most \d+ channels, got {shape[0]}"
        ):
            look(given)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("side", [224, 160])
def test_the_feature_map_has_a_32nd_of_the_image_size(architecture: str, side: int) -> None:
    torch = pytest.importorskip("torch")
    module = build(spec_of(architecture, shapes_of(architecture, 0.35, classes=9))).eval()
    with torch.inference_mode():
        features = module.features(torch.zeros(2, 3, side, side))
        assert module(torch.zeros(2, 3, side, side)).shape == (2, 9)
    assert features.shape == (2, backbone(architecture, 0.35).features, side // 32, side // 32)


def test_batch_norm_epsilon_of_each_architecture() -> None:
    torch = pytest.importorskip("torch")
    for architecture, epsilon in ((V1, 1e-3), (V2, 1e-5), (SMALL, 1e-3), (LARGE, 1e-3)):
        norms = [m for m in build(spec_of(architecture, {})).modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert {m.eps for m in norms} == {epsilon}
        if "v3" in architecture:
            assert {m.momentum for m in norms} == {0.01}


def test_round_channels() -> None:
    for channels, rounded in ((3, 8), (11, 16), (12, 16), (16, 16), (19.9, 24), (20, 24), (33.6, 32), (44.8, 48)):
        assert round_channels(channels) == rounded


@pytest.mark.parametrize(
    ("architecture", "excite", "hard_swish", "strides"),
    [
        (SMALL, "1..11111111", "...11111111", "22121111211"),
        (LARGE, "...111....11111", "......111111111", "121211211111211"),
    ],
)
def test_v3_blocks_match_the_paper(architecture: str, excite: str, hard_swish: str, strides: str) -> None:
    """The columns SE, NL and s of tables 1 and 2 of the paper, from top to bottom."""
    blocks = backbone(architecture, 1.0).blocks
    assert "".join(".1"[block.squeeze > 0] for block in blocks) == excite
    assert "".join(".1"[block.hard_swish] for block in blocks) == hard_swish
    assert "".join(str(block.stride) for block in blocks) == strides


@pytest.mark.parametrize("hard_swish", [True, False])
def test_a_v3_block_computed_by_hand(hard_swish: bool) -> None:
    """Expansion, 5x5 depthwise convolution, squeeze-and-excite, projection and residual, with numpy in float64."""
    torch = pytest.importorskip("torch")
    from ov_mobilenet.conversion.architectures.mobilenet_v3 import InvertedResidualV3

    torch.manual_seed(1)
    block = Block(inputs=6, hidden=16, outputs=6, stride=1, kernel=5, squeeze=8, hard_swish=hard_swish)
    module = InvertedResidualV3(block).double().eval()
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.1 if value.ndim == 1 else 0.3 * torch.randn_like(value))
    w = {key: value.numpy() for key, value in module.state_dict().items()}
    x = np.random.default_rng(2).normal(0, 2, (6, 7, 7))

    def normalised(y: np.ndarray, name: str) -> np.ndarray:
        mean, variance, gain, offset = (
            w[f"block.{name}.1.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
        )
        made: np.ndarray = (y - mean) / np.sqrt(variance + 0.001) * gain + offset
        return made

    def active(y: np.ndarray) -> np.ndarray:
        made: np.ndarray = y * np.clip(y + 3, 0, 6) / 6 if hard_swish else np.maximum(y, 0)
        return made

    y = active(normalised(np.einsum("oi,ihw->ohw", w["block.0.0.weight"][:, :, 0, 0], x), "0"))
    padded = np.pad(y, ((0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    y = active(normalised(np.einsum("chwij,cij->chw", windows, w["block.1.0.weight"][:, 0]), "1"))
    squeezed = w["block.2.fc1.weight"][:, :, 0, 0] @ y.mean(axis=(1, 2)) + w["block.2.fc1.bias"]
    assert squeezed.min() < 0 < squeezed.max() < 3  # or ReLU would be no other than h-swish
    squeezed = np.maximum(squeezed, 0)
    gates = np.clip(w["block.2.fc2.weight"][:, :, 0, 0] @ squeezed + w["block.2.fc2.bias"] + 3, 0, 6) / 6
    assert ((gates > 0) & (gates < 1)).all()  # or the gates would not show how they were computed
    y = y * gates[:, None, None]
    y = normalised(np.einsum("oi,ihw->ohw", w["block.3.0.weight"][:, :, 0, 0], y), "3") + x

    with torch.inference_mode():
        answer = module(torch.from_numpy(x)[None]).numpy()[0]
    assert np.abs(answer - y).max() < 1e-9 * np.abs(y).max()


@pytest.mark.parametrize(("architecture", "width"), [(V1, 0.5), (V2, 0.35), (SMALL, 0.75), (LARGE, 0.5)])
def test_the_ir_matches_torch(architecture: str, width: float, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    def new() -> Any:
        module = build(spec_of(architecture, shapes_of(architecture, width, classes=small.CLASSES)))
        for layer in module.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(layer.weight, 0.7, 1.3)
                torch.nn.init.normal_(layer.bias, std=0.3)
        return module

    yml = small.write_checkpoint(tmp_path / "net", architecture, new)
    sources = ovm.download(ovm.load_config(yml), tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    model = ovm.convert(sources, tmp_path, precisions=("FP32",))[0]

    module = build(spec_of(architecture, shapes_of(architecture, width, classes=small.CLASSES))).eval()
    module.load_state_dict(torch.load(yml.with_name("small.pth"), weights_only=True))
    frames = small.frames(8, 64, seed=11)
    ask: Callable[[np.ndarray], np.ndarray] = lambda images: (  # noqa: E731
        torch.softmax(module(torch.from_numpy(small.normalised(images))), 1).numpy()
    )
    with torch.inference_mode():
        expected, swapped = ask(frames), ask(frames[..., ::-1])
    assert expected.max() > 0.5 and np.abs(swapped - expected).max() > 0.1  # or the comparison would prove nothing
    answer = ovm.load_classifier(model.xml, device="CPU", inference_precision="f32").probabilities(frames)
    assert np.abs(answer - expected).max() < 3e-5
