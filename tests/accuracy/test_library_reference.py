"""The reference of a network of timm is built for the size of the frames, which an IR may have changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from library_weights import library_state

pytest.importorskip("torch")

import torch

from ov_mobilenet.accuracy.source_networks import source_oracle
from ov_mobilenet.conversion.library_networks import build_library_network
from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
from ov_mobilenet.zoo.library_network import LibraryNetwork
from ov_mobilenet.zoo.model import InputInfo, ModelConfig
from ov_mobilenet.zoo.normalisation import Normalisation

NETWORK = LibraryNetwork(library="timm", architecture="tf_mobilenetv3_small_minimal_100", classes=10)


def module_for(size: tuple[int, int]) -> torch.nn.Module:
    """The module of timm's keys for an input of this size; its logits depend on the image with this gain."""
    built = build_library_network(NETWORK, size)
    state = library_state({key: tuple(tensor.shape) for key, tensor in built.state_dict().items()}, 1.35)
    built.load_state_dict({key: torch.from_numpy(np.asarray(values)) for key, values in state.items()})
    return built.eval()


def test_frames_of_another_size_have_their_own_padding(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "model.safetensors"
    save_file(module_for((64, 64)).state_dict(), path)
    config = ModelConfig(
        name="mine", path=tmp_path / "model.yml", digest="", description="", task_type="classification",
        framework="pytorch", license="", files=(),
    )  # fmt: skip
    plan = ConversionPlan(
        source=SourceNetwork(root="dl_dir", path=path.name), input=InputInfo("data", (1, 3, 64, 64), "NCHW"),
        normalisation=Normalisation(mean=(127.5,), scale=(127.5,)), library_network=NETWORK,
    )  # fmt: skip
    oracle = source_oracle(config, plan, path)
    for size in ((64, 64), (97, 110), (64, 64)):
        frame = np.random.default_rng(5).integers(0, 256, (*size, 3), dtype=np.uint8)
        values = ((frame.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)
        with torch.inference_mode():
            expected = module_for(size)(torch.from_numpy(values[None].copy()))[0].numpy()
        assert np.abs(oracle(frame) - expected).max() < 1e-4
