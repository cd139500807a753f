"""Activation, padding and epsilon of weights that batch norms recorded: recognised or refused, never another network.

The oracle is the module that recorded the statistics, built by the test with its own activations and padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from recorded_networks import (  # noqa: E402
    TENSORFLOW,
    Recorded,
    UnequalPReLU,
    first_stride_1,
    natural_images,
    recorded,
    run,
    values_of,
)
from torch import nn  # noqa: E402

from ov_mobilenet.conversion.sources.pytorch import load_module  # noqa: E402
from ov_mobilenet.diagnosis.diagnose import diagnose_network  # noqa: E402
from ov_mobilenet.diagnosis.layer_decision import decide_settings  # noqa: E402
from ov_mobilenet.diagnosis.layer_diagnosis import LayerDiagnosis, diagnose_layers  # noqa: E402
from ov_mobilenet.diagnosis.source_network import network_of_source  # noqa: E402
from ov_mobilenet.errors import ConversionError  # noqa: E402
from ov_mobilenet.inputs.image_subset import PreparedImages  # noqa: E402
from ov_mobilenet.zoo.geometry import resize_whole_image  # noqa: E402
from ov_mobilenet.zoo.layer_settings import LayerSettings  # noqa: E402

WHERE = Path("weights.pth")
SAMPLE = Path(__file__).resolve().parents[1] / "data" / "signs" / "road-signs.pth"
TRAINING = natural_images(120, 1)
OTHERS = natural_images(40, 7)


def leaky(slope: float) -> Callable[[], nn.Module]:
    """A factory of LeakyReLU."""
    return lambda: nn.LeakyReLU(slope)


def marked(cases: Iterable[str], *quick: str) -> list[Any]:
    """The cases, all but some only in the full tests: each takes a second or two."""
    return [case if case in quick else pytest.param(case, marks=pytest.mark.full) for case in cases]


def diagnosed(network: Recorded, images: np.ndarray) -> LayerDiagnosis:
    """The diagnosis of weights that have statistics."""
    found = diagnose_layers(network.matched, WHERE, images, TENSORFLOW)
    assert found is not None
    return found


def settings_or_none(found: LayerDiagnosis, network: Recorded, *, torchvision: bool) -> LayerSettings | None:
    """The settings to convert with; None if the conversion is refused."""
    architecture = network.matched.network.architecture
    try:
        return decide_settings(found, architecture, has_torchvision_keys=torchvision, where=WHERE)
    except ConversionError:
        return None


def is_the_same_network(network: Recorded, settings: LayerSettings, images: np.ndarray) -> bool:
    """Whether a conversion with these settings has practically the outputs of the oracle."""
    changed = msgspec.structs.replace(network.matched.network, settings=settings)
    outputs = run(load_module(replace(network.matched, network=changed), WHERE), images)
    truth = network.outputs(images)
    return bool(np.sqrt(np.square(outputs - truth).mean()) < 0.05 * (truth - truth.mean(0)).std())


Truth = dict[str, Any]

# Architecture, what the oracle does, and the settings to convert with; None if they are not sure enough.
KNOWN: dict[str, tuple[str, Truth, LayerSettings | None]] = {
    "v1-published": ("v1", {}, LayerSettings()),
    "v1-leaky": ("v1", {"activation": leaky(0.1)}, LayerSettings(activation="leaky-relu-0.1")),
    "v1-leaky-torch": (
        "v1", {"activation": leaky(0.1), "padding": "torch", "epsilon": 1e-5},
        LayerSettings(activation="leaky-relu-0.1", padding="torch", batch_norm_epsilon=1e-5),
    ),
    "v1-hardswish": ("v1", {"activation": nn.Hardswish}, LayerSettings(activation="hardswish")),
    "v1-relu": ("v1", {"activation": nn.ReLU}, None),
    "v2-same": (
        "v2", {"padding": "same", "epsilon": 1e-3}, LayerSettings(padding="same", batch_norm_epsilon=1e-3)
    ),
    "v2-leaky": ("v2", {"activation": leaky(0.1)}, LayerSettings(activation="leaky-relu-0.1")),
    "v3-leaky": ("v3", {"activation": leaky(0.1)}, None),
    "v3-same": ("v3", {"padding": "same", "epsilon": 1e-5}, None),
    "v3-hardswish": ("v3", {"activation": nn.Hardswish}, None),
}  # fmt: skip
REFUSED: dict[str, tuple[str, Truth]] = {
    "v1-leaky-0.2": ("v1", {"activation": leaky(0.2)}),
    "v1-leaky-0.03": ("v1", {"activation": leaky(0.03)}),
    "v1-stride-1": ("v1", {"change": first_stride_1}),
    "v2-prelu": ("v2", {"activation": UnequalPReLU}),
    "v2-elu": ("v2", {"activation": nn.ELU}),
    "v2-mish": ("v2", {"activation": nn.Mish}),
    "v3-all-leaky": ("v3", {"activation": leaky(0.1), "everywhere": True}),
    "v3-all-relu": ("v3", {"activation": nn.ReLU, "everywhere": True}),
}


@pytest.mark.parametrize("case", marked(KNOWN, "v1-leaky"))
def test_known_settings_are_ranked_first(case: str) -> None:
    """The best settings have the outputs of the oracle; they are converted with, or refused."""
    kind, truth, expected = KNOWN[case]
    network = recorded(kind, TRAINING, **truth)
    found = diagnosed(network, OTHERS)
    assert found.agrees
    assert is_the_same_network(network, found.settings, OTHERS)
    for torchvision in (True, False):
        settings = settings_or_none(found, network, torchvision=torchvision)
        if expected is not None:
            assert settings == expected
        else:
            assert settings is None or is_the_same_network(network, settings, OTHERS)


@pytest.mark.parametrize("case", marked(REFUSED, "v1-leaky-0.2"))
def test_unknown_activations_are_refused(case: str) -> None:
    """No settings of the toolkit are right, so none are chosen."""
    kind, truth = REFUSED[case]
    network = recorded(kind, TRAINING, **truth)
    found = diagnosed(network, OTHERS)
    assert settings_or_none(found, network, torchvision=True) is None
    assert settings_or_none(found, network, torchvision=False) is None


@pytest.mark.full
@pytest.mark.parametrize(
    "images",
    [natural_images(30, 5, slope=0.5), natural_images(30, 5, contrast=15), np.zeros((20, 96, 96, 3), np.uint8)],
    ids=["rough", "flat", "black"],
)
@pytest.mark.parametrize("activation", [None, leaky(0.2)], ids=["published", "leaky-0.2"])
def test_images_of_another_kind(images: np.ndarray, activation: Callable[[], nn.Module] | None) -> None:
    """Statistics of other images are refused or right."""
    network = recorded("v1", TRAINING, activation=activation)
    settings = settings_or_none(diagnosed(network, images), network, torchvision=True)
    assert settings is None or is_the_same_network(network, settings, images)


@pytest.mark.full
@pytest.mark.parametrize("count", [10, 20])
@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_few_images(kind: str, count: int) -> None:
    """With few images too, a conversion is refused or right."""
    network = recorded(kind, TRAINING, activation=leaky(0.1), padding="same", epsilon=1e-3, seed=2)
    settings = settings_or_none(diagnosed(network, OTHERS[:count]), network, torchvision=False)
    assert settings is None or is_the_same_network(network, settings, OTHERS)


@pytest.mark.full
def test_settings_with_the_same_outputs_are_one_answer() -> None:
    """ReLU and ReLU6 are the same if nothing exceeds 6: the published one is taken, and it is no reason for doubt."""

    def small(module: nn.Module) -> None:
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.constant_(layer.weight, 0.3)
                nn.init.uniform_(layer.bias, 0.0, 0.2)

    network = recorded("v2", TRAINING, activation=nn.ReLU, change=small)
    found = diagnosed(network, OTHERS)
    same = {row.combination.activation for row in found.candidates if row.same_as_best}
    assert {"relu", "relu6"} <= same
    assert found.settings.activation == "relu6"
    settings = settings_or_none(found, network, torchvision=True)
    assert settings is None or is_the_same_network(network, settings, OTHERS)


@pytest.mark.full
def test_a_trained_network() -> None:
    """A network trained for some steps, with the moving averages of training instead of cumulative ones."""
    network = recorded("v1", TRAINING, activation=leaky(0.1))
    module = network.module.train()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.01)
    generator = np.random.default_rng(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1
    labels = torch.from_numpy(TRAINING.mean((1, 2)).argmax(1))  # the strongest colour
    for step in range(45):
        if step == 15:  # as at the end of a training: the moving averages follow the weights
            optimiser.param_groups[0]["lr"] = 1e-4
        batch = generator.choice(len(TRAINING), 20, replace=False)
        loss = nn.functional.cross_entropy(module(values_of(TRAINING[batch])), labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    module.eval()
    trained = Recorded(module, replace(network.matched, tensors=dict(module.state_dict())))
    found = diagnosed(trained, OTHERS)
    assert found.best.activation == "leaky-relu-0.1"
    assert found.agrees
    settings = settings_or_none(found, trained, torchvision=True)
    assert settings is None or is_the_same_network(trained, settings, OTHERS)


def test_the_error_says_what_to_do() -> None:
    """The message names figures, limit, the best combination and the options to insist."""
    network = recorded("v1", TRAINING)
    found = diagnosed(network, natural_images(30, 5, contrast=15))
    with pytest.raises(ConversionError) as raised:
        decide_settings(found, "mobilenet_v1", has_torchvision_keys=False, where=WHERE)
    message = str(raised.value)
    assert f"median over the layers {found.divergence:.3f}" in message
    assert "--architecture mobilenet_v1 --activation" in message or "Export the network to ONNX" in message
    assert "below 0.0125" in message


def test_weights_without_statistics() -> None:
    """Folded batch norms tell nothing."""
    network = recorded("v1", TRAINING[:20])
    tensors = {
        key: torch.zeros_like(value) if "mean" in key else torch.ones_like(value) if "var" in key else value
        for key, value in network.matched.tensors.items()
    }
    without = replace(network.matched, tensors=tensors)
    assert diagnose_layers(without, WHERE, OTHERS, TENSORFLOW) is None


def test_progress_ends_at_its_total() -> None:
    """The number of steps is an estimate that is never exceeded, and the last call says that all are done."""
    network, calls = recorded("v1", TRAINING[:40]), []
    diagnose_layers(
        network.matched, WHERE, OTHERS[:10], TENSORFLOW, on_progress=lambda done, total: calls.append((done, total))
    )
    assert all(done <= total for done, total in calls)
    assert calls[-1][0] == calls[-1][1]
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


@pytest.mark.full
def test_the_sample_model() -> None:
    """Its own settings agree with drawings like those of its training, and the JSON form has them."""
    from signs import held_out, network_images

    frames = np.stack(list(network_images(frame for frame, _ in held_out(2, 60))))
    network = network_of_source(SAMPLE, resize_whole_image(128, 128))
    stages: set[str] = set()
    found = diagnose_network(
        "road-signs.pth", network, PreparedImages(frames, ()), on_progress=lambda stage, *_: stages.add(stage)
    )
    assert "settings of the layers" in stages
    assert found.layers is not None
    assert found.layers.agrees
    assert found.layers.is_published
    form = found.to_dict()
    published = {"activation": "relu6", "padding": "same", "batch_norm_epsilon": 1e-3}
    assert {name: form["best"][name] for name in published} == published
    assert form["layers"]["agrees"]
    first = form["layers"]["candidates"][0]
    assert {name: first[name] for name in published} == published
