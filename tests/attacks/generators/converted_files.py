"""Damaged network files given to `convert --source`: an error or an IR, and nothing else is left."""

from __future__ import annotations

import functools
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from attacks.command_forks import run_command
from attacks.damage import damaged
from attacks.fuzz import Attack
from attacks.generators.networks import unpack

OPTIONS = ("--name", "net", "--preset", "torchvision", "--precisions", "FP32")


def convert_damaged(
    rng: random.Random, folder: Path, network: Path, *files: Path, modules: tuple[str, ...] = ()
) -> None:
    """Damage one of the files, and convert the network: an IR with a description, or one error and no output."""
    damaged_file = rng.choice(files or (network,))
    damaged_file.write_bytes(damaged(damaged_file.read_bytes(), rng))
    before = contents(network.parent)
    work, out = folder / "work", folder / "out"
    # Most damage to weights is converted, which takes longer than to find the rest.
    dry = ("--dry-run",) if modules and rng.random() < 0.9 else ()
    ran = run_command(
        ["convert", "--source", str(network), *OPTIONS, *dry, "-o", str(out), "--cache-dir", str(folder / "cache")],
        work, *modules,
    )  # fmt: skip
    assert contents(network.parent) == before, "the source was changed"
    assert {path.name for path in work.iterdir()} == {"tmp", "out.txt", "err.txt"}
    assert {path.name for path in folder.iterdir()} <= {"work", "out", "cache", network.parent.name}
    written = {path.name for path in out.rglob("*") if path.is_file()}
    if ran.code or dry:
        assert not written, (ran.err, written)
    else:
        assert {"net.xml", "net.bin", "model.yml"} <= written, (ran.err, written)


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def onnx_network(rng: random.Random, folder: Path) -> None:
    """See `convert_damaged`."""
    pytest.importorskip("onnx")
    from small_networks import write_onnx

    write_onnx(folder / "source", batch=1)
    convert_damaged(rng, folder, folder / "source" / "small.onnx")


def onnx_with_data(rng: random.Random, folder: Path) -> None:
    """See `convert_damaged`; the weights are in a file beside the network."""
    onnx = pytest.importorskip("onnx")
    from small_networks import write_onnx

    write_onnx(folder / "whole", batch=1)
    model = onnx.load(folder / "whole" / "small.onnx")
    shutil.rmtree(folder / "whole")
    (folder / "source").mkdir()
    network, data = folder / "source" / "small.onnx", folder / "source" / "small.data"
    onnx.save(model, network, save_as_external_data=True, location=data.name, size_threshold=0)
    convert_damaged(rng, folder, network, network, network, data)


def frozen_graph(rng: random.Random, folder: Path) -> None:
    """See `convert_damaged`."""
    from frozen_graphs import write_frozen_graph

    (folder / "source").mkdir()
    write_frozen_graph(folder / "source" / "small.pb")
    convert_damaged(rng, folder, folder / "source" / "small.pb")


def saved_model(rng: random.Random, folder: Path) -> None:
    """See `convert_damaged`; any of the three files is damaged."""
    saved = unpack(folder / "source") / "saved"
    files = [path for path in sorted(saved.rglob("*")) if path.is_file()]
    convert_damaged(rng, folder, saved, *files)


def tflite_network(rng: random.Random, folder: Path) -> None:
    """See `convert_damaged`."""
    convert_damaged(rng, folder, unpack(folder / "source") / "small.tflite")


@functools.cache
def checkpoint(file: str) -> bytes:
    """A MobileNet V1 with a quarter of the channels and five classes, untrained, in the format of the file name."""
    import io

    import torch

    from ov_mobilenet.conversion.architectures.mobilenet_v1 import MobileNetV1

    torch.manual_seed(5)
    state = MobileNetV1(num_classes=5, width_multiplier=0.25).state_dict()
    if file.endswith(".safetensors"):
        from safetensors.torch import save

        content: bytes = save(state)
        return content
    stream = io.BytesIO()
    if file.endswith(".ckpt"):
        torch.save({"state_dict": state, "epoch": 3}, stream)
    else:
        torch.save(state, stream, _use_new_zipfile_serialization=not file.endswith(".pt"))
    return stream.getvalue()


def checkpoint_attack(file: str) -> Callable[[random.Random, Path], None]:
    """See `convert_damaged`; most of the cases stop before the IR (`--dry-run`)."""

    def run(rng: random.Random, folder: Path) -> None:
        pytest.importorskip("torch")
        if file.endswith(".safetensors"):
            pytest.importorskip("safetensors")
        (folder / "source").mkdir()
        (folder / "source" / file).write_bytes(checkpoint(file))
        convert_damaged(rng, folder, folder / "source" / file, modules=("torch",))

    return run


ATTACKS = (
    Attack("convert a damaged ONNX network", 300, onnx_network, in_suite=1),
    Attack("convert a damaged ONNX network with external data", 300, onnx_with_data, in_suite=1),
    Attack("convert a damaged frozen graph", 300, frozen_graph, in_suite=1),
    Attack("convert a damaged SavedModel", 300, saved_model, in_suite=1),
    Attack("convert a damaged TFLite network", 300, tflite_network, in_suite=1),
    Attack("convert a damaged .pth checkpoint", 300, checkpoint_attack("small.pth"), in_suite=1),
    Attack("convert a damaged legacy .pt checkpoint", 300, checkpoint_attack("small.pt"), in_suite=1),
    Attack("convert a damaged .ckpt of a trainer", 300, checkpoint_attack("small.ckpt"), in_suite=1),
    Attack("convert a damaged .safetensors", 300, checkpoint_attack("small.safetensors"), in_suite=1),
)
