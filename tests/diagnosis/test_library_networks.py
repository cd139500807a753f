"""A network of timm in a diagnosis: it is traced like other weights, and its first batch norm is evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library_weights import library_state

pytest.importorskip("torch")

import torch

from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.conversion.library_networks import build_library_network
from ov_mobilenet.conversion.own_network import UserChoices, draft_description
from ov_mobilenet.diagnosis.source_network import network_of_facts
from ov_mobilenet.errors import UsageError
from ov_mobilenet.zoo.library_network import LibraryNetwork

NETWORK = LibraryNetwork(library="timm", architecture="mobilenetv3_small_050", classes=10)
SHAPE = (1, 3, 64, 64)


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    """The network with the gain for which its logits depend on the image."""
    built = build_library_network(NETWORK, SHAPE[2:])
    state = library_state({key: tuple(tensor.shape) for key, tensor in built.state_dict().items()}, 1.65)
    built.load_state_dict({key: torch.from_numpy(np.asarray(values)) for key, values in state.items()})
    return built.eval()


@pytest.fixture
def facts(module: torch.nn.Module, tmp_path: Path) -> SourceFacts:
    """What a repository says of it."""
    from safetensors.torch import save_file

    save_file(module.state_dict(), tmp_path / "model.safetensors")
    return SourceFacts(
        framework="pytorch", folder=tmp_path, files=("model.safetensors",), network="model.safetensors",
        input_name="data", shape=(), output="prob", classes=10, output_kind="logits", library_network=NETWORK,
    )  # fmt: skip


def test_the_first_batch_norm_is_evidence(facts: SourceFacts, module: torch.nn.Module) -> None:
    network = network_of_facts(facts, UserChoices(shape=SHAPE))
    values = np.random.default_rng(3).normal(0, 1, (4, 64, 64, 3)).astype(np.float32)
    images = torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))
    with torch.inference_mode():
        expected = torch.softmax(module(images), 1).numpy()
        flow = module.get_submodule("conv_stem")(images).double()
    assert np.abs(network.answers(values) - expected).max() < 5e-5
    assert np.ptp(expected, axis=0).max() > 0.01
    assert network.batch_norm is not None
    stored = module.state_dict()
    assert np.allclose(network.batch_norm.stored.mean, stored["bn1.running_mean"])
    assert np.allclose(network.batch_norm.stored.variance, stored["bn1.running_var"])
    moments = network.batch_norm.moments(values)
    assert np.allclose(moments.mean, flow.mean((2, 3)), atol=1e-5)
    assert np.allclose(moments.mean_square, (flow**2).mean((2, 3)), rtol=1e-4)


@pytest.mark.parametrize(
    "choice", [{"padding": "same"}, {"activation": "relu"}, {"batch_norm_epsilon": 1e-3}, {"width": 0.5}]
)
def test_what_the_configuration_fixes_cannot_be_chosen(facts: SourceFacts, choice: dict[str, Any]) -> None:
    option = next(iter(choice)).replace("_", "-")
    with pytest.raises(UsageError, match=f"--{option} cannot be used with a network of timm"):
        draft_description("mine", facts, UserChoices(shape=SHAPE, **choice))
