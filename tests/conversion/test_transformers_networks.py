"""MobileNets with transformers' keys, against the answers that transformers gave to the same weights and input."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library_weights import library_input, library_state

from ov_mobilenet.conversion.library_networks.transformers_networks import build_transformers_network
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.library_network import LibraryNetwork

torch = pytest.importorskip("torch")

# Written by tools/record_transformers_answers.py, which names the versions' environment.
RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[1] / "data" / "library_networks" / "transformers.json").read_text()
)


def network(architecture: str = "mobilenet_v2", classes: int = 5, **arguments: Any) -> LibraryNetwork:
    return LibraryNetwork(library="transformers", architecture=architecture, classes=classes, arguments=arguments)


def module_of(case: dict[str, Any]) -> Any:
    """Our module of a recorded case, with its weights; strict loading shows that the keys are transformers'."""
    spec = network(case["architecture"], case["classes"], **case["arguments"])
    module = build_transformers_network(spec, tuple(case["size"])).eval()
    shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    state = {key: torch.from_numpy(value) for key, value in library_state(shapes, case["gain"]).items()}
    module.load_state_dict(state, strict=True)
    return module


@pytest.mark.parametrize("number", range(len(RECORDED)))
def test_logits_are_those_of_transformers(number: int) -> None:
    case = RECORDED[number]
    module, image = module_of(case), torch.from_numpy(library_input(*case["size"]))
    with torch.no_grad():
        logits = module(image)[0].numpy()
    expected = np.array(case["logits"])
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_trace_has_a_dynamic_batch_and_no_warning() -> None:
    """At an odd size with SAME padding; the padding is a number in the graph, not arithmetic on shapes."""
    import openvino as ov

    case = next(case for case in RECORDED if case["size"] == [97, 66])
    module, image = module_of(case), library_input(97, 66)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit.trace itself
        traced = torch.jit.trace(module, torch.zeros(image.shape), check_trace=False)
        model = ov.convert_model(traced, input=[-1, *image.shape[1:]])
    assert not {node.get_type_name() for node in model.get_ops()} & {"ShapeOf", "Gather"}
    compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    logits = compiled(np.repeat(image, 3, 0))[0]
    for row in logits:
        assert np.abs(softmax(row) - softmax(np.array(case["logits"]))).max() <= 5e-5


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


@pytest.mark.parametrize("architecture", ["mobilenet_v1", "mobilenet_v2"])
def test_arguments_without_effect_are_accepted(architecture: str) -> None:
    plain = build_transformers_network(network(architecture, depth_multiplier=0.35), (32, 32))
    same = build_transformers_network(
        network(
            architecture, depth_multiplier=0.35, classifier_dropout_prob=0.5, initializer_range=0.1, image_size=300,
            semantic_loss_ignore_index=7, num_channels=3,
        ),
        (32, 32),
    )  # fmt: skip
    same.load_state_dict(plain.state_dict(), strict=True)
    image = torch.from_numpy(library_input(32, 32))
    with torch.no_grad():
        assert torch.equal(plain.eval()(image), same.eval()(image))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"squeeze": True}, "squeeze"),
        ({"num_channels": 1}, "num_channels"),
        ({"hidden_act": "xielu"}, "hidden_act"),
        ({"tf_padding": "true"}, "tf_padding"),
        ({"depth_multiplier": float("nan")}, "depth_multiplier"),
        ({"depth_multiplier": 1e6}, "depth_multiplier"),
        ({"depth_multiplier": True}, "depth_multiplier"),
        ({"min_depth": 8.5}, "min_depth"),
        ({"depth_divisible_by": 0}, "depth_divisible_by"),
        ({"expand_ratio": -1}, "expand_ratio"),
        ({"output_stride": 7}, "output_stride"),
        ({"layer_norm_eps": 0}, "layer_norm_eps"),
    ],
)
def test_an_argument_that_would_change_the_network_is_refused_by_name(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConversionError, match=named):
        build_transformers_network(network(**arguments), (32, 32))


def test_arguments_of_v2_are_refused_for_v1() -> None:
    with pytest.raises(ConversionError, match="expand_ratio"):
        build_transformers_network(network("mobilenet_v1", expand_ratio=6), (32, 32))


@pytest.mark.parametrize("classes", [0, 10**9])
def test_a_number_of_classes_is_limited(classes: int) -> None:
    with pytest.raises(ConversionError, match="number of classes"):
        build_transformers_network(network(classes=classes), (32, 32))
