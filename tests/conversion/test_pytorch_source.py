"""PyTorch checkpoints: our module against torch itself, and checkpoints that are not what they should be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.errors import ConversionError, VerificationError

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write_v2_checkpoint(tmp_path_factory.mktemp("torch") / "v2")


def sources_of(yml: Path, out: Path) -> ovm.SourceFiles:
    return ovm.download(ovm.load_config(yml), out / "dl", cache_root=out / "cache", offline=True)


def test_v2_has_the_published_number_of_parameters() -> None:
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    module = MobileNetV2()
    assert sum(parameter.numel() for parameter in module.parameters()) == 3_504_872
    assert len(module.state_dict()) == 314  # keys of torchvision's checkpoint


def test_the_ir_equals_torch(checkpoint: Path, tmp_path: Path) -> None:
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    model = ovm.convert(sources_of(checkpoint, tmp_path), tmp_path, precisions=("FP32",))[0]
    module = MobileNetV2(classes=small.CLASSES)
    module.load_state_dict(torch.load(checkpoint.with_name("small_v2.pth"), weights_only=True))
    frames = small.frames(8, 64, seed=11)
    with torch.inference_mode():
        run = module.eval()
        expected = torch.softmax(run(torch.from_numpy(small.normalised(frames))), 1).numpy()
        swapped = torch.softmax(run(torch.from_numpy(small.normalised(frames[..., ::-1]))), 1).numpy()
    answer = ovm.load_classifier(model.xml, device="CPU", inference_precision="f32").probabilities(frames)
    assert np.abs(answer - expected).max() < 3e-5
    assert np.abs(swapped - expected).max() > 0.1  # or the comparison would prove nothing


def test_verify_sees_a_wrong_ir(checkpoint: Path, tmp_path: Path) -> None:
    sources = sources_of(checkpoint, tmp_path)
    model = ovm.convert(sources, tmp_path / "right", precisions=("FP32",))[0]
    assert ovm.verify(sources, model).holds
    wrong = checkpoint.parent.parent / "wrong"
    wrong.mkdir(exist_ok=True)
    for file in checkpoint.parent.iterdir():
        (wrong / file.name).write_bytes(file.read_bytes())
    yml = wrong / "model.yml"
    yml.write_text(yml.read_text().replace("  - --reverse_input_channels\n", ""))
    unswapped = ovm.convert(sources_of(yml, tmp_path / "w"), tmp_path / "wrong", precisions=("FP32",))[0]
    result = ovm.verify(sources, unswapped)
    assert not result.holds
    assert result.max_difference > 0.01


def test_a_failed_verification_names_both_figures(tmp_path: Path) -> None:
    from ov_mobilenet.accuracy.verification_result import Verification, check

    result = Verification(
        precision="FP32",
        images=10,
        skipped=0,
        max_difference=0.2,
        top1_agreement=0.9,
        tolerance=3e-5,
        least_agreement=1.0,
    )
    with pytest.raises(VerificationError, match=r"within 3e-05.*0\.2 .*90\.0% of 10") as caught:
        check(result, tmp_path / "x.xml")
    assert caught.value.exit_code == 3


class Trap:
    fired = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("import test_pytorch_source as t; t.Trap.fired = True",))


def broken(kind: str, state: dict[str, Any], path: Path) -> None:
    if kind == "missing":
        del state["features.3.conv.1.0.weight"]
    elif kind == "extra":
        state["features.99.weight"] = torch.zeros(1)
    elif kind == "shape":
        state["features.0.0.weight"] = torch.zeros(32, 3, 5, 5)
    elif kind == "nan":
        state["features.0.0.weight"][0, 0, 0, 0] = float("nan")
    elif kind == "integers":
        state["features.0.0.weight"] = state["features.0.0.weight"].to(torch.int32)
    elif kind == "no tensor":
        state["classifier.1.bias"] = [1.0, 2.0]
    elif kind == "sparse":
        state["features.0.0.weight"] = state["features.0.0.weight"].to_sparse()
    elif kind == "meta":
        state["features.0.0.weight"] = state["features.0.0.weight"].to("meta")
    elif kind == "complex":
        state["features.0.0.weight"] = state["features.0.0.weight"].to(torch.complex64)
    elif kind == "float8":
        state["features.0.0.weight"] = state["features.0.0.weight"].to(torch.float8_e4m3fn)
    elif kind == "no classes":
        state["classifier.1.weight"], state["classifier.1.bias"] = torch.zeros(0, 1280), torch.zeros(0)
    elif kind == "claims":
        state["classifier.1.weight"] = torch.zeros(1).expand(50_000, 1280)
    elif kind == "stack":
        path.write_bytes(b"\x80\x02abc" * 50)
        return
    elif kind == "list":
        torch.save([1, 2, 3], path)
        return
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"state": Trap()}))
        return
    elif kind == "truncated":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:100_000])
        return
    torch.save(state, path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "missing features.3.conv.1.0.weight; unexpected none"),
        ("extra", "unexpected features.99.weight"),
        ("shape", r"features.0.0.weight does not match.*\[32, 3, 3, 3\].*\[32, 3, 5, 5\]"),
        ("nan", "features.0.0.weight holds values that are not finite"),
        ("integers", "features.0.0.weight is not a plain tensor.*int32"),
        ("no tensor", "classifier.1.bias is not a tensor"),
        ("sparse", "features.0.0.weight is not a plain tensor.*sparse"),
        ("meta", "features.0.0.weight is not a plain tensor.*meta"),
        ("complex", "features.0.0.weight is not a plain tensor.*complex64"),
        ("float8", "features.0.0.weight is not a plain tensor.*float8"),
        ("no classes", "classifier.1.weight is empty"),
        ("claims", "classifier.1.weight is larger than its stored data"),
        ("stack", "cannot be loaded"),
        ("list", "not a state dict.*got list"),
        ("pickle", "cannot be loaded.*torch.save"),
        ("truncated", "cannot be loaded"),
    ],
)
def test_checkpoints_that_are_refused(checkpoint: Path, tmp_path: Path, kind: str, message: str) -> None:
    network = tmp_path / "net" / "small_v2.pth"
    network.parent.mkdir()
    broken(kind, torch.load(checkpoint.with_name("small_v2.pth"), weights_only=True), network)
    yml = small.describe(
        network,
        framework="pytorch",
        shape=(1, 3, 64, 64),
        output="prob",
        onnx_args=small.ONNX_ARGS.format(architecture="mobilenet_v2", file=network.name),
        input_model="$conv_dir/small.onnx",
    )
    with pytest.raises(ConversionError, match=message):
        ovm.convert(sources_of(yml, tmp_path), tmp_path / "ir")
    assert not Trap.fired


@pytest.mark.parametrize("error", [IndexError, TypeError, AssertionError, NotImplementedError])
def test_any_error_of_torch_load_is_a_conversion_error(
    error: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ov_mobilenet.conversion.sources.checkpoint import read_state_dicts

    def fail(*args: object, **options: object) -> None:
        raise error("odd")

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(ConversionError, match=r"cannot be loaded \(odd\)"):
        read_state_dicts(tmp_path / "x.pth")


def test_an_excessive_width_is_refused_before_the_module_is_built() -> None:
    from ov_mobilenet.conversion.architectures import spec_of

    with pytest.raises(ConversionError, match=r"features\.0\.0\.weight is too large: expected at most 256"):
        spec_of("mobilenet_v1", {"features.0.0.weight": (10**7, 3, 3, 3)})


def test_an_unknown_architecture_is_named(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    for file in checkpoint.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    yml = folder / "model.yml"
    yml.write_text(yml.read_text().replace("--model-name=mobilenet_v2", "--model-name=resnet50"))
    with pytest.raises(ConversionError, match=r"unknown architecture.*mobilenet_v2.*'resnet50'"):
        ovm.convert(sources_of(yml, tmp_path), tmp_path / "ir")
