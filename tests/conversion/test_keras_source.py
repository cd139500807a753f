"""Keras files: IRs compared with Keras's predictions, and files that match no network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras_networks as nets
import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.conversion.keras_files.description import describe_keras
from ov_mobilenet.errors import ConversionError

# Keras sets __array__ and logs through deprecated ways; its warnings are not ours to mend.
pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")
import h5py  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
V3_OUTPUT = "StatefulPartitionedCall/MobilenetV3{}/Predictions/Softmax"


def sources_of(yml: Path, out: Path) -> ovm.SourceFiles:
    return ovm.download(ovm.load_config(yml), out / "dl", cache_root=out / "cache", offline=True)


def answers(model: ovm.IrModel, frames: np.ndarray) -> np.ndarray:
    return ovm.load_classifier(model.xml, device="CPU", inference_precision="f32").probabilities(frames)


def folder(tmp_path: Path, name: str = "net") -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


@pytest.fixture(scope="module")
def small_v3() -> Any:
    """MobileNetV3Small, five classes, width 0.75."""
    return nets.build("MobileNetV3Small", 96, alpha=0.75, classes=5)


@pytest.fixture(scope="module")
def published(small_v3: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write its weights in the published layout, beside a model.yml. Returns the weights file."""
    path = nets.write_published(small_v3, tmp_path_factory.mktemp("keras") / "v3.h5")
    nets.describe(path, side=96)
    return path


def copied(path: Path, tmp_path: Path) -> Path:
    target = folder(tmp_path) / path.name
    target.write_bytes(path.read_bytes())
    return target


@pytest.mark.parametrize(
    ("name", "side", "options"),
    [
        ("MobileNetV3Small", 224, {}),
        ("MobileNetV3Large", 96, {}),
        ("MobileNetV3Small", 96, {"alpha": 0.75, "classes": 5}),
        ("MobileNetV3Small", 96, {"minimalistic": True, "classes": 7}),
        ("MobileNetV2", 96, {"alpha": 0.35, "classes": 5}),
        ("MobileNet", 96, {"alpha": 0.5, "classes": 5}),
    ],
)
def test_the_ir_of_published_weights_matches_keras(
    name: str, side: int, options: dict[str, Any], tmp_path: Path
) -> None:
    network = nets.build(name, side, **options)
    halves = not name.startswith("MobileNetV3")
    path = nets.write_published(network, folder(tmp_path) / "weights.h5")
    yml = nets.describe(path, side=side, halves=halves)

    single, half = ovm.convert(sources_of(yml, tmp_path), tmp_path / "ir", precisions=("FP32", "FP16"))

    frames = nets.frames(12, side, seed=21)
    expected = network.predict(nets.as_input(frames, halves=halves), verbose=0)
    assert expected.max() > 0.5 and len(set(expected.argmax(axis=1))) > 1
    assert np.abs(answers(single, frames) - expected).max() < 3e-5
    assert np.abs(answers(half, frames) - expected).max() < 4e-2
    # Or the comparison would prove nothing:
    swapped = network.predict(nets.as_input(frames[..., ::-1], halves=halves), verbose=0)
    twice = network.predict((nets.as_input(frames, halves=halves) - 127.5) / 127.5, verbose=0)
    assert np.abs(swapped - expected).max() > 0.1
    assert np.abs(twice - expected).max() > 0.1

    found = describe_keras(path)
    assert (found.architecture, found.classes) == (name, options.get("classes", 1000))
    assert found.width == options.get("alpha", 1.0)


@pytest.mark.parametrize(("name", "parameters"), [("Small", 2_542_856), ("Large", 5_483_032)])
def test_v3_has_the_published_number_of_parameters(name: str, parameters: int, tmp_path: Path) -> None:
    from ov_mobilenet.conversion.keras_files.architectures import KerasArchitecture
    from ov_mobilenet.conversion.keras_files.loading import build

    network = build(KerasArchitecture(f"MobileNetV3{name}", 1.0, False, 1000), (1, 224, 224, 3), tmp_path)  # type: ignore[arg-type]
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == parameters


def test_weights_in_the_layout_of_keras_3(small_v3: Any, tmp_path: Path) -> None:
    path = folder(tmp_path) / "v3.weights.h5"
    small_v3.save_weights(path)
    (model,) = ovm.convert(sources_of(nets.describe(path, side=96), tmp_path), tmp_path / "ir", precisions=("FP32",))
    frames = nets.frames(6, 96, seed=22)
    assert np.abs(answers(model, frames) - small_v3.predict(nets.as_input(frames, halves=False))).max() < 3e-5


def test_layers_are_matched_by_name_in_any_order(published: Path, small_v3: Any, tmp_path: Path) -> None:
    path = copied(published, tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["layer_names"] = list(file.attrs["layer_names"])[::-1]
    (model,) = ovm.convert(sources_of(nets.describe(path, side=96), tmp_path), tmp_path / "ir", precisions=("FP32",))
    frames = nets.frames(6, 96, seed=22)
    assert np.abs(answers(model, frames) - small_v3.predict(nets.as_input(frames, halves=False))).max() < 3e-5


def test_verify_runs_keras_and_detects_a_wrong_ir(published: Path, tmp_path: Path) -> None:
    sources = sources_of(published.with_name("model.yml"), tmp_path)
    (model,) = ovm.convert(sources, tmp_path / "right", precisions=("FP32",))
    assert ovm.verify(sources, model).holds

    path = copied(published, tmp_path)
    yml = nets.describe(path, side=96)
    yml.write_text(yml.read_text().replace("  - --reverse_input_channels\n", ""))
    (wrong,) = ovm.convert(sources_of(yml, tmp_path / "w"), tmp_path / "wrong", precisions=("FP32",))
    result = ovm.verify(sources, wrong)
    assert not result.holds and result.max_difference > 0.05


def test_a_description_of_the_open_model_zoo_converts_without_its_script(tmp_path: Path) -> None:
    """zoo/test_open_model_zoo_descriptions.py has the real ones, also of MobileNet V3 large."""
    network = nets.build("MobileNetV3Small", 96, classes=5)
    file = nets.write_published(network, folder(tmp_path) / "weights_mobilenet_v3_small_224_1.0_float.h5")
    made = "--saved_model_dir=$conv_dir/mobilenet_v3_small_224_1.0_float.savedmodel"
    yml = nets.describe(file, side=96, framework="tf", network=made)
    (model,) = ovm.convert(sources_of(yml, tmp_path), tmp_path / "ir", precisions=("FP32",))

    import openvino as ov

    ir = ov.Core().read_model(model.xml)
    assert ir.inputs[0].get_names() == {"input_1"}
    assert ir.outputs[0].get_names() == {V3_OUTPUT.format("small")}
    assert list(ir.inputs[0].shape) == [1, 96, 96, 3]
    frames = nets.frames(4, 96, seed=23)
    assert np.abs(answers(model, frames) - network.predict(nets.as_input(frames, halves=False))).max() < 3e-5
    assert ovm.verify(sources_of(yml, tmp_path), model).holds


def test_any_batch(published: Path, small_v3: Any, tmp_path: Path) -> None:
    import openvino as ov

    sources = sources_of(published.with_name("model.yml"), tmp_path)
    (model,) = ovm.convert(sources, tmp_path / "ir", precisions=("FP32",), form=ovm.Form(batch=-1))
    compiled = ov.Core().compile_model(model.xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    frames = nets.frames(5, 96, seed=24)
    expected = small_v3.predict(nets.as_input(frames, halves=False))
    for count in (1, 5):
        assert np.abs(compiled(frames[:count].astype(np.float32))[0] - expected[:count]).max() < 3e-5


def test_the_ir_bytes_are_reproducible_and_stderr_is_empty(published: Path, tmp_path: Path) -> None:
    sources = sources_of(published.with_name("model.yml"), tmp_path)
    for name in ("first", "second"):
        ovm.convert(sources, tmp_path / name, precisions=("FP32",))
    yml = str(published.with_name("model.yml"))
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    run = subprocess.run(
        [sys.executable, "-m", "ov_mobilenet", "convert", yml, "-o", str(tmp_path), "--precisions", "FP32", "-q"],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    other = Path(run.stdout.strip())
    for suffix in (".xml", ".bin"):
        first, second = (next((tmp_path / name).glob(f"FP32/*{suffix}")).read_bytes() for name in ("first", "second"))
        assert first == second == other.with_suffix(suffix).read_bytes()


def test_mean_and_scale_for_v3_are_refused(published: Path, tmp_path: Path) -> None:
    yml = nets.describe(copied(published, tmp_path), side=96, halves=True)
    with pytest.raises(ConversionError, match=r"rescales its input itself.*no mean_values.*127\.5"):
        ovm.convert(sources_of(yml, tmp_path), tmp_path / "ir")


def change(file: Any, kind: str) -> None:
    kernel = "Conv_1/Conv_1/kernel:0"
    if kind == "shape":
        del file[kernel]
        file[kernel] = np.zeros((1, 1, 3, 3), np.float32)
    elif kind == "not finite":
        file[kernel][0, 0, 0, 0] = np.nan
    elif kind == "a layer missing":
        file.attrs["layer_names"] = [name for name in file.attrs["layer_names"] if name != b"Conv_2"]
        del file["Conv_2"]
    elif kind == "a tensor missing":
        file["Conv/BatchNorm"].attrs["weight_names"] = file["Conv/BatchNorm"].attrs["weight_names"][:3]
        del file["Conv/BatchNorm/Conv/BatchNorm/moving_variance:0"]
    elif kind == "a tensor more":
        file["Conv_1/extra"] = np.zeros(3, np.float32)
    elif kind == "no head":
        file.attrs["layer_names"] = [name for name in file.attrs["layer_names"] if name != b"Logits"]
        del file["Logits"]
    elif kind == "a block missing":
        names = [name for name in file.attrs["layer_names"] if not name.startswith(b"expanded_conv_10")]
        file.attrs["layer_names"] = names
        del file["expanded_conv_10"]
    elif kind == "between two widths":
        layer = "expanded_conv_3/project/expanded_conv_3/project/kernel:0"
        del file[layer]
        file[layer] = np.zeros((1, 1, 72, 36), np.float32)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("shape", r"conv_1/kernel does not match.*expected \[1, 1, 72, 432\], got \[1, 1, 3, 3\]"),
        ("not finite", "Conv_1/Conv_1/kernel:0 holds values that are not finite"),
        ("a layer missing", "missing conv_2; unexpected none"),
        ("a tensor missing", "the tensors of conv_bn differ.*expected gamma, beta, moving_mean, moving_variance"),
        ("a tensor more", "tensors that belong to no layer"),
        ("no head", r"no classifier \(include_top=False\)"),
        ("a block missing", "belong to no MobileNet of Keras.*SavedModel"),
        ("between two widths", "match no width of the network"),
    ],
)
def test_weights_that_do_not_match_are_refused(published: Path, tmp_path: Path, kind: str, message: str) -> None:
    path = copied(published, tmp_path)
    with h5py.File(path, "r+") as file:
        change(file, kind)
    yml = nets.describe(path, side=96)
    with pytest.raises(ConversionError, match=message):
        ovm.convert(sources_of(yml, tmp_path), tmp_path / "ir")


@pytest.fixture(scope="module")
def fine_tuned() -> Any:
    """A model as in the tutorials: augmentation, rescaling, a nested MobileNetV2 without its head, a new classifier."""
    keras.utils.set_random_seed(31)
    base = keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, include_top=False, weights=None)
    pixels = keras.Input((96, 96, 3), name="pixels")
    x = keras.layers.RandomRotation(0.2)(keras.layers.RandomFlip("horizontal")(pixels))
    x = base(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x), training=False)
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    network = keras.Model(pixels, keras.layers.Dense(5, activation="softmax", name="predictions")(x))
    nets.liven(network, 96, halves=False)
    network.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return network


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_full_model(fine_tuned: Any, suffix: str, tmp_path: Path) -> None:
    path = folder(tmp_path) / f"own{suffix}"
    fine_tuned.save(path)
    found = describe_keras(path)
    assert (found.architecture, found.classes, found.input_shape) == (None, 5, (-1, 96, 96, 3))
    yml = nets.describe(path)
    sources = sources_of(yml, tmp_path)
    single, half = ovm.convert(sources, tmp_path / "ir", precisions=("FP32", "FP16"))
    frames = nets.frames(8, 96, seed=25)
    expected = fine_tuned.predict(nets.as_input(frames, halves=False))
    assert np.abs(answers(single, frames) - expected).max() < 3e-5
    assert np.abs(answers(half, frames) - expected).max() < 4e-2
    swapped = fine_tuned.predict(nets.as_input(frames[..., ::-1], halves=False))
    assert np.abs(swapped - expected).max() > 0.1
    assert ovm.verify(sources, single).holds

    import openvino as ov

    ir = ov.Core().read_model(single.xml)
    assert (ir.inputs[0].get_names(), ir.outputs[0].get_names()) == ({"pixels"}, {"predictions"})


def test_a_full_model_with_weights_that_are_not_in_the_file(
    fine_tuned: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path) / "own.keras"
    fine_tuned.save(path)
    other = keras.models.load_model(path, compile=False)
    kernel, bias = other.layers[-1].get_weights()
    other.layers[-1].set_weights([kernel + 1e-6, bias])
    monkeypatch.setattr(keras.models, "load_model", lambda *args, **options: other)
    count = len(other.weights)
    with pytest.raises(ConversionError, match=f"does not hold all weights.*expected {count}, got {count - 1}"):
        ovm.convert(sources_of(nets.describe(path), tmp_path), tmp_path / "ir")


def test_a_full_v3_with_arithmetic_between_layers(small_v3: Any, tmp_path: Path) -> None:
    path = folder(tmp_path) / "v3.keras"
    small_v3.save(path)
    (model,) = ovm.convert(sources_of(nets.describe(path), tmp_path), tmp_path / "ir", precisions=("FP32",))
    frames = nets.frames(4, 96, seed=26)
    assert np.abs(answers(model, frames) - small_v3.predict(nets.as_input(frames, halves=False))).max() < 3e-5


def test_keras_settings_are_restored(published: Path, tmp_path: Path) -> None:
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        sources = sources_of(published.with_name("model.yml"), tmp_path)
        ovm.convert(sources, tmp_path / "ir", precisions=("FP32",))
        assert keras.config.image_data_format() == "channels_first"
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_image_data_format("channels_last")
        keras.config.set_dtype_policy("float32")
