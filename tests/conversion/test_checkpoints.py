"""Checkpoints as people have them: wrapped, averaged, under other keys, without pickle - and what they must not do."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ov_mobilenet.conversion.architectures import Identified, build
from ov_mobilenet.conversion.sources.pytorch import fit_plan, fit_weights, load_module
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
from ov_mobilenet.zoo.model import InputInfo

torch = pytest.importorskip("torch")

SMALLEST = {
    "mobilenet_v1": Identified(architecture="mobilenet_v1", width=0.25, classes=5),
    "mobilenet_v2": Identified(architecture="mobilenet_v2", width=0.35, classes=5),
    "mobilenet_v3_small": Identified(architecture="mobilenet_v3_small", width=0.5, classes=5, hidden=512),
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
    path: Path, tensors: Tensors, architecture: str = "mobilenet_v2", weights_key: str | None = None
) -> None:
    """The module that is loaded from the file computes what a module with these tensors computes."""
    source = SourceNetwork(root="dl_dir", path=path.name)
    wanted_plan = ConversionPlan(source=source, input=InputInfo(""), model_name=architecture, weights_key=weights_key)
    found = load_module(fit_plan(wanted_plan, path), path)
    wanted = build(SMALLEST[architecture])
    wanted.load_state_dict(tensors)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(found(image), wanted.eval()(image))


@pytest.mark.parametrize("architecture", SMALLEST)
def test_architecture_width_and_classes_are_found(architecture: str, tmp_path: Path) -> None:
    fitted = fit_weights(saved(weights(architecture), tmp_path / "net.pth"))
    assert fitted.network == SMALLEST[architecture]
    assert (fitted.where, fitted.remarks()) == ("", ())


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
def test_wrappers_come_off(wrap: Callable[[Tensors], object], tmp_path: Path) -> None:
    answers_like(saved(wrap(weights()), tmp_path / "net.pth"), weights())


@pytest.mark.parametrize("name", ["model_ema", "state_dict_ema", "ema"])
def test_of_weights_and_their_moving_average_the_average_is_taken_and_said(name: str, tmp_path: Path) -> None:
    raw, averaged = weights(seed=1), weights(seed=2)
    path = saved({"model": raw, name: prefixed("module.", averaged)}, tmp_path / "net.pth")
    answers_like(path, averaged)
    (remark,) = fit_weights(path).remarks()
    assert name in remark
    assert "'model'" in remark
    assert "--weights-key" in remark
    answers_like(path, raw, weights_key="model")
    assert fit_weights(path, where="model").remarks() == ()


def test_an_average_of_another_network_does_not_beat_the_weights(tmp_path: Path) -> None:
    path = saved({"model": weights(), "ema": weights("mobilenet_v1")}, tmp_path / "net.pth")
    with pytest.raises(ConversionError, match=r"several entries.*'model', 'ema'.*--weights-key"):
        fit_weights(path)
    assert fit_weights(path, architecture="mobilenet_v2").where == "model"


def test_a_state_dict_itself_has_no_entry_to_name(tmp_path: Path) -> None:
    path = saved(weights(), tmp_path / "net.pth")
    with pytest.raises(ConversionError, match=r"no entries: it is a state dict itself: expected no weights key"):
        fit_weights(path, where="nope")


def test_two_sets_of_weights_are_not_chosen_from_by_chance(tmp_path: Path) -> None:
    path = saved({"student": weights(seed=1), "teacher": weights(seed=2)}, tmp_path / "net.pth")
    with pytest.raises(ConversionError, match=r"several entries.*'student', 'teacher'.*--weights-key"):
        fit_weights(path)
    answers_like(path, weights(seed=2), weights_key="teacher")
    with pytest.raises(ConversionError, match=r"no such entry.*'student' or 'teacher'.*'pupil'"):
        fit_weights(path, where="pupil")


@pytest.mark.parametrize("architecture", SMALLEST)
def test_other_keys_in_the_order_of_the_data_are_matched_and_said(architecture: str, tmp_path: Path) -> None:
    tensors = weights(architecture)
    words = rename_modules(tensors, lambda place, module: f"layer_{'abcdefgh'[place % 8]}{place}.op")
    path = saved(words, tmp_path / "net.pth")
    answers_like(path, tensors, architecture)
    (remark,) = fit_weights(path).remarks()
    assert "shape and order" in remark
    assert "layer_a0.op.weight is taken for features.0.0.weight" in remark


def test_the_pair_of_keys_that_is_named_really_differs(tmp_path: Path) -> None:
    """Only the head has another name."""
    tensors = {key.replace("classifier.1.", "head."): value for key, value in weights().items()}
    (remark,) = fit_weights(saved(tensors, tmp_path / "net.pth")).remarks()
    assert "(head.bias is taken for classifier.1.bias" in remark


def test_safetensors_need_no_pickle_and_no_order(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    tensors = {key: value.clone() for key, value in weights().items()}
    save_file(tensors, tmp_path / "same.safetensors")
    answers_like(tmp_path / "same.safetensors", tensors)
    numbered = rename_modules(tensors, lambda place, module: f"layers.{place}")
    save_file(numbered, tmp_path / "numbered.safetensors")
    answers_like(tmp_path / "numbered.safetensors", tensors)
    # Sorted by name in the file, and names of two kinds for batch norms of one shape: nobody can tell which is first.
    words = rename_modules(tensors, lambda place, module: f"{'xyz'[place % 3]}.{place}")
    save_file(words, tmp_path / "words.safetensors")
    with pytest.raises(ConversionError, match=r"shapes are those of mobilenet_v2, but the keys do not say which.*ONNX"):
        fit_weights(tmp_path / "words.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}"])
def test_broken_safetensors_are_errors(content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(ConversionError):
        fit_weights(path)


def test_a_checkpoint_that_would_run_code_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = saved({"state_dict": weights(), "args": argparse.Namespace(lr=0.1)}, tmp_path / "net.pth")
    with pytest.raises(ConversionError, match=r"would run code of argparse\.Namespace.*torch\.save\(model\.state_dict"):
        fit_weights(path)
    with pytest.raises(ConversionError, match=r"cannot be loaded.*torch\.save\(model\.state_dict"):
        fit_weights(saved(torch.nn.Conv2d(1, 1, 1), tmp_path / "module.pth"))


def test_a_torchscript_program_is_named_as_what_it_is(tmp_path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)).save(str(tmp_path / "net.pt"))
    with pytest.raises(ConversionError, match="TorchScript program, not weights"):
        fit_weights(tmp_path / "net.pt")


def test_weights_of_another_network_are_told_what_fits(tmp_path: Path) -> None:
    path = saved({"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.weight": torch.zeros(9, 512)}, tmp_path / "r.pth")
    with pytest.raises(ConversionError, match=r"none of our architectures.*mobilenet_v1.*conv1\.weight.*ONNX"):
        fit_weights(path)
    with pytest.raises(ConversionError, match=r"no state dict.*entries 'epoch', 'lr'"):
        fit_weights(saved({"epoch": 3, "lr": 0.1}, path))
