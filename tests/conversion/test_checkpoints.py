"""Checkpoints as found in practice: wrapped, averaged, with other keys, in safetensors; and unsafe ones."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ov_mobilenet.conversion.architectures import MobileNetSpec, build
from ov_mobilenet.conversion.sources.checkpoint import read_state_dicts
from ov_mobilenet.conversion.sources.pytorch import load_module, match_plan, match_weights
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
from ov_mobilenet.zoo.layer_settings import Activation, LayerSettings
from ov_mobilenet.zoo.model import InputInfo

torch = pytest.importorskip("torch")

SMALLEST = {
    "mobilenet_v1": MobileNetSpec(architecture="mobilenet_v1", width=0.25, classes=5),
    "mobilenet_v2": MobileNetSpec(architecture="mobilenet_v2", width=0.35, classes=5),
    "mobilenet_v3_small": MobileNetSpec(architecture="mobilenet_v3_small", width=0.5, classes=5, hidden=512),
}
Tensors = dict[str, Any]


def weights(architecture: str = "mobilenet_v2", seed: int = 0) -> Tensors:
    torch.manual_seed(seed)
    state: Tensors = build(SMALLEST[architecture]).state_dict()
    return state


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{key}": tensor for key, tensor in tensors.items()}


def rename_modules(tensors: Tensors, rename: Callable[[int, str], str]) -> Tensors:
    modules = list(dict.fromkeys(key.rpartition(".")[0] for key in tensors))
    names = {module: rename(place, module) for place, module in enumerate(modules)}
    return {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in tensors.items()}


def answers_like(
    path: Path,
    tensors: Tensors,
    architecture: str = "mobilenet_v2",
    weights_key: str | None = None,
    activation: Activation | None = None,
) -> None:
    """Assert that the module loaded from the file gives the same results as a module with these tensors.

    Args:
        activation: states the published one, without which keys are not matched by shape and order.
    """
    wanted_plan = ConversionPlan(
        source=SourceNetwork(root="dl_dir", path=path.name), input=InputInfo(""), model_name=architecture,
        weights_key=weights_key, settings=LayerSettings(activation=activation),
    )  # fmt: skip
    found = load_module(match_plan(wanted_plan, path), path)
    wanted = build(SMALLEST[architecture])
    wanted.load_state_dict(tensors)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(found(image), wanted.eval()(image))


@pytest.mark.parametrize("architecture", SMALLEST)
def test_architecture_width_and_classes_are_identified(architecture: str, tmp_path: Path) -> None:
    matched = match_weights(saved(weights(architecture), tmp_path / "net.pth"))
    assert matched.network == SMALLEST[architecture]
    assert (matched.where, matched.remarks()) == ("", ())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: {"state_dict": w},
        lambda w: {"model": prefixed("module.", w), "epoch": 3, "optimizer": {"state": {0: {"step": 1}}}},
        lambda w: {"state_dict": {**prefixed("net.", w), "loss.weight": torch.ones(5)}, "best": 0.5},
        lambda w: prefixed("_orig_mod.module.", w),
        lambda w: {"n_averaged": torch.tensor(7), **prefixed("module.", w)},
        lambda w: {key: value for key, value in w.items() if "num_batches" not in key},
        lambda w: {key: value.float() if "num_batches" in key else value for key, value in w.items()},
        lambda w: {key: value.to(torch.uint8) if "num_batches" in key else value for key, value in w.items()},
        lambda w: {"a": {"b": {"state_dict": w}}},
    ],
)
def test_wrappers_are_removed(wrap: Callable[[Tensors], object], tmp_path: Path) -> None:
    answers_like(saved(wrap(weights()), tmp_path / "net.pth"), weights())


@pytest.mark.parametrize("name", ["model_ema", "state_dict_ema", "ema"])
def test_the_ema_copy_is_preferred_and_reported(name: str, tmp_path: Path) -> None:
    raw, averaged = weights(seed=1), weights(seed=2)
    path = saved({"model": raw, name: prefixed("module.", averaged)}, tmp_path / "net.pth")
    answers_like(path, averaged)
    (remark,) = match_weights(path).remarks()
    assert name in remark
    assert "'model'" in remark
    assert "--weights-key" in remark
    answers_like(path, raw, weights_key="model")
    assert match_weights(path, weights_key="model").remarks() == ()


def test_an_ema_entry_of_another_network_is_not_preferred(tmp_path: Path) -> None:
    path = saved({"model": weights(), "ema": weights("mobilenet_v1")}, tmp_path / "net.pth")
    with pytest.raises(ConversionError, match=r"several entries.*'model', 'ema'.*--weights-key"):
        match_weights(path)
    assert match_weights(path, architecture="mobilenet_v2").where == "model"


def test_a_weights_key_for_a_plain_state_dict_is_an_error(tmp_path: Path) -> None:
    path = saved(weights(), tmp_path / "net.pth")
    with pytest.raises(ConversionError, match=r"no entries: it is a state dict itself: expected no weights key"):
        match_weights(path, weights_key="nope")


def test_two_sets_of_weights_need_a_weights_key(tmp_path: Path) -> None:
    path = saved({"student": weights(seed=1), "teacher": weights(seed=2)}, tmp_path / "net.pth")
    with pytest.raises(ConversionError, match=r"several entries.*'student', 'teacher'.*--weights-key"):
        match_weights(path)
    answers_like(path, weights(seed=2), weights_key="teacher")
    with pytest.raises(ConversionError, match=r"no such entry.*'student' or 'teacher'.*'pupil'"):
        match_weights(path, weights_key="pupil")


@pytest.mark.parametrize("architecture", SMALLEST)
def test_other_keys_in_data_flow_order_are_matched_and_reported(architecture: str, tmp_path: Path) -> None:
    tensors = weights(architecture)
    words = rename_modules(tensors, lambda place, module: f"layer_{'abcdefgh'[place % 8]}{place}.op")
    path = saved(words, tmp_path / "net.pth")
    with pytest.raises(
        ConversionError, match=r"only by shape and order.*layer_a0\.op\.weight as features\.0\.0\.weight"
    ):
        answers_like(path, tensors, architecture)
    answers_like(path, tensors, architecture, activation="relu" if "v3" in architecture else "relu6")
    (remark,) = match_weights(path).remarks()
    assert "shape and order" in remark
    assert "layer_a0.op.weight is used as features.0.0.weight" in remark


def test_the_reported_pair_of_keys_differs(tmp_path: Path) -> None:
    """Only the classifier has another name, so the layers before it are known to be torchvision's."""
    tensors = {key.replace("classifier.1.", "head."): value for key, value in weights().items()}
    path = saved(tensors, tmp_path / "net.pth")
    (remark,) = match_weights(path).remarks()
    assert "(head.bias is used as classifier.1.bias" in remark
    answers_like(path, weights())


def test_safetensors_with_and_without_numbered_names(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    tensors = {key: value.clone() for key, value in weights().items()}
    save_file(tensors, tmp_path / "same.safetensors")
    answers_like(tmp_path / "same.safetensors", tensors)
    numbered = rename_modules(tensors, lambda place, module: f"layers.{place}")
    save_file(numbered, tmp_path / "numbered.safetensors")
    answers_like(tmp_path / "numbered.safetensors", tensors, activation="relu6")
    # The file is sorted by name, and batch norms of one shape have two kinds of names: their order is unknown.
    words = rename_modules(tensors, lambda place, module: f"{'xyz'[place % 3]}.{place}")
    save_file(words, tmp_path / "words.safetensors")
    with pytest.raises(ConversionError, match=r"shapes match mobilenet_v2, but the keys do not tell which.*ONNX"):
        match_weights(tmp_path / "words.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}"])
def test_broken_safetensors_are_errors(content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(ConversionError):
        match_weights(path)


def test_a_checkpoint_that_would_run_code_is_refused_with_a_fix(tmp_path: Path) -> None:
    path = saved({"state_dict": weights(), "args": types.SimpleNamespace(lr=0.1)}, tmp_path / "net.pth")
    with pytest.raises(
        ConversionError, match=r"would run code of types\.SimpleNamespace.*torch\.save\(model\.state_dict"
    ):
        match_weights(path)
    with pytest.raises(ConversionError, match=r"cannot be loaded.*torch\.save\(model\.state_dict"):
        match_weights(saved(torch.nn.Conv2d(1, 1, 1), tmp_path / "module.pth"))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "beside",
    [
        argparse.Namespace(lr=0.1, data=pathlib.Path("images"), best=np.float64(0.5)),
        pathlib.PurePosixPath("images"),
        pathlib.PureWindowsPath("images"),
        {"best": np.float64(0.5), "epoch": np.int64(3), "name": np.str_("run"), "done": np.bool_(True)},
    ],
)
def test_harmless_types_beside_the_weights_are_ignored(beside: object, legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"state_dict": weights(), "args": beside}, path, _use_new_zipfile_serialization=not legacy)
    answers_like(path, weights())
    with pytest.raises(Exception, match="Weights only load failed"):  # the types are allowed for our reading only
        torch.load(path, weights_only=True)


def test_paths_of_other_systems_and_versions_are_ignored(tmp_path: Path) -> None:
    """A pickle names the class of the path: the other system's, and another module in Python 3.13."""
    path = tmp_path / "net.pth"
    torch.save({"state_dict": weights(), "args": pathlib.PurePosixPath("images")}, path, pickle_protocol=2)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    assert b"cpathlib\nPurePosixPath\n" in content
    for name in (b"cpathlib\nWindowsPath\n", b"cpathlib._local\nPosixPath\n"):
        with zipfile.ZipFile(path, "w") as archive:
            for entry, data in entries.items():
                archive.writestr(entry, data.replace(b"cpathlib\nPurePosixPath\n", name))
        answers_like(path, weights())


HEADS: dict[str, tuple[str, str | None, Callable[[int], Any]]] = {
    "one layer": ("mobilenet_v2", None, lambda n: torch.nn.Linear(n, 5)),
    "after dropout": ("mobilenet_v2", None, lambda n: torch.nn.Sequential(
        torch.nn.Identity(), torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(n, 5)))),
    "at place 3": ("mobilenet_v2", None, lambda n: torch.nn.Sequential(
        torch.nn.Identity(), torch.nn.Identity(), torch.nn.Dropout(), torch.nn.Linear(n, 5))),
    "V3, one layer": ("mobilenet_v3_small", None, lambda n: torch.nn.Linear(n, 5)),
    "two layers": ("mobilenet_v2", "relu", lambda n: torch.nn.Sequential(
        torch.nn.Dropout(), torch.nn.Linear(n, 32), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(32, 5))),
    "three layers": ("mobilenet_v2", "gelu", lambda n: torch.nn.Sequential(
        torch.nn.Linear(n, 32), torch.nn.GELU(), torch.nn.Linear(32, 16), torch.nn.GELU(), torch.nn.Linear(16, 5))),
    "no activation": ("mobilenet_v2", "none", lambda n: torch.nn.Sequential(
        torch.nn.Linear(n, 32), torch.nn.Linear(32, 5))),
    # Its keys and its number of layers are those of the published network, but its activation is not.
    "V3, published keys": ("mobilenet_v3_small", "relu", lambda n: torch.nn.Sequential(
        torch.nn.Linear(n, 96), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(96, 5))),
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_replaced_heads(kind: str, suffix: str, tmp_path: Path) -> None:
    architecture, activation, make = HEADS[kind]
    torch.manual_seed(4)
    module = build(SMALLEST[architecture])
    layers = [layer for layer in module.classifier if isinstance(layer, torch.nn.Linear)]
    module.classifier = make(layers[0].in_features)
    path = tmp_path / f"net{suffix}"
    if suffix == ".pth":
        torch.save(module.state_dict(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(module.state_dict(), path)
    if activation is not None:
        with pytest.raises(ConversionError, match=r"linear layers.*does not tell the activation.*--head none, relu"):
            match_weights(path)
    else:
        with pytest.raises(ConversionError, match=r"one linear layer.*Omit --head"):
            match_weights(path, head="relu")
    matched = match_weights(path, head=activation)
    assert (matched.network.classes, matched.has_torchvision_keys) == (5, True)
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = module.eval()(image)
        assert torch.equal(load_module(matched, path)(image), expected)
        if activation in ("relu", "gelu"):  # the activation matters, so guessing it would be wrong
            assert not torch.allclose(load_module(match_weights(path, head="tanh"), path)(image), expected, rtol=1e-3)


def test_heads_with_other_layers_are_refused(tmp_path: Path) -> None:
    tensors = weights()
    for extra in ({"classifier.2.weight": torch.ones(5), "classifier.2.bias": torch.zeros(5)},
                  {"classifier.4.weight": torch.ones(5, 7), "classifier.4.bias": torch.ones(5)}):  # fmt: skip
        path = saved({**tensors, **extra}, tmp_path / "net.pth")
        with pytest.raises(ConversionError):
            load_module(match_weights(path), path)
    with pytest.raises(ConversionError, match="--head is for a classifier of several linear layers"):
        others = {key.replace("features.", "layers."): value for key, value in tensors.items()}
        match_weights(saved(others, tmp_path / "net.pth"), head="relu")


def test_a_torchscript_program_is_reported_as_such(tmp_path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)).save(str(tmp_path / "net.pt"))
    with pytest.raises(ConversionError, match="TorchScript program, not a state dict"):
        match_weights(tmp_path / "net.pt")


def test_weights_of_another_network_are_refused_with_the_known_architectures(tmp_path: Path) -> None:
    path = saved({"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.weight": torch.zeros(9, 512)}, tmp_path / "r.pth")
    with pytest.raises(ConversionError, match=r"none of the known architectures.*mobilenet_v1.*conv1\.weight.*ONNX"):
        match_weights(path)
    with pytest.raises(ConversionError, match=r"not a state dict.*entries 'epoch', 'lr'"):
        match_weights(saved({"epoch": 3, "lr": 0.1}, path))


def test_the_advice_of_torch_to_load_unsafely_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(pickle.dumps({"weight": (1, object())}, protocol=4))
    with pytest.raises(ConversionError, match=r"cannot be loaded \(as weights only: ") as caught:
        read_state_dicts(path)
    assert "Re-running" not in str(caught.value)
