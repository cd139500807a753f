"""Frozen graphs and SavedModels compared with tensorflow and numpy: results, names, batch sizes, `--verify`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import small_networks as small
import tensorflow_networks as networks

import ov_mobilenet as ovm
from ov_mobilenet.accuracy.source_networks import source_oracle
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import plan_conversion

pytestmark = pytest.mark.full

UNPACK = "postprocessing: [{$type: unpack_archive, format: gztar, file: model.tar.gz}]\n"


@pytest.fixture(scope="module", autouse=True)
def tensorflow() -> None:
    pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return small.frames(8)


@pytest.fixture(scope="module")
def expected(frames: np.ndarray) -> np.ndarray:
    return np.stack([small.by_hand(frame) for frame in frames])


def frozen(folder: Path, *, output: str = "scores", batch: int = 1, afterthought: bool = False) -> Path:
    """A frozen graph and its description."""
    networks.write_small_graph(folder / "small.pb", batch=batch, afterthought=afterthought)
    shape = (batch, small.SIDE, small.SIDE, 3)
    return small.describe(folder / "small.pb", framework="tf", shape=shape, layout="NHWC", output=output)


def saved_model(folder: Path, *, output: str = "scores", batch: int | None = None, features: bool = False) -> Path:
    """A SavedModel and its description."""
    networks.write_small_saved_model(folder / "made", batch=batch, features=features)
    return describe_saved_model(folder, output)


def describe_saved_model(folder: Path, output: str = "scores") -> Path:
    """Pack `folder/made` as TensorFlow Hub does, and describe the archive."""
    networks.pack(folder / "model.tar.gz", folder / "made", "net/saved")
    yml = small.describe(
        folder / "model.tar.gz",
        framework="tf",
        shape=(1, small.SIDE, small.SIDE, 3),
        layout="NHWC",
        output=output,
        extra=UNPACK,
        input_model="$dl_dir/net/saved",
    )
    yml.write_text(yml.read_text().replace("--input_model=", "--saved_model_dir="))
    return yml


def without(yml: Path, *words: str) -> Path:
    """The description without the lines that contain one of the words."""
    lines = yml.read_text().splitlines(keepends=True)
    yml.write_text("".join(line for line in lines if not any(word in line for word in words)))
    return yml


def convert(yml: Path, out: Path, **form: object) -> tuple[ovm.SourceFiles, ovm.IrModel]:
    sources = ovm.download(ovm.load_config(yml), out / "dl", cache_root=out / "cache", offline=True)
    return sources, ovm.convert(sources, out / "ir", precisions=("FP32",), form=ovm.Form(**form))[0]  # type: ignore[arg-type]


def probabilities(model: ovm.IrModel, frames: np.ndarray) -> np.ndarray:
    return ovm.load_classifier(model.xml, device="CPU", inference_precision="f32").probabilities(frames)


def names(model: ovm.IrModel) -> tuple[set[str], set[str]]:
    read = ov.Core().read_model(model.xml)
    return read.inputs[0].get_names(), read.outputs[0].get_names()


@pytest.mark.parametrize("batch", [None, 1])
def test_a_saved_model_matches_tensorflow(
    batch: int | None, frames: np.ndarray, expected: np.ndarray, tmp_path: Path
) -> None:
    import tensorflow as tf

    _, model = convert(saved_model(tmp_path / "net", batch=batch), tmp_path)
    loaded = tf.saved_model.load(str(tmp_path / "net" / "made"))
    logits = np.concatenate([loaded.serve(image[None])["scores"].numpy() for image in networks.rgb(frames)])
    answer = probabilities(model, frames)
    assert np.abs(answer - tf.nn.softmax(logits).numpy()).max() < 3e-5
    assert np.abs(answer - expected).max() < 3e-5
    assert names(model) == ({"data"}, {"scores"})
    swapped = probabilities(model, frames[..., ::-1].copy())
    assert np.abs(swapped - expected).max() > 0.1, "the network would not see a wrong channel order"


@pytest.mark.parametrize("signature_batch", [None, 1])
@pytest.mark.parametrize(("batch", "layout", "input_type"), [(8, "NHWC", "u8"), (-1, "NCHW", "f32")])
def test_a_saved_model_in_other_forms(
    signature_batch: int | None,
    batch: int,
    layout: str,
    input_type: str,
    frames: np.ndarray,
    expected: np.ndarray,
    tmp_path: Path,
) -> None:
    yml = saved_model(tmp_path / "net", batch=signature_batch)
    _, model = convert(yml, tmp_path, batch=batch, layout=layout, input_type=input_type)
    shape = ov.Core().read_model(model.xml).outputs[0].get_partial_shape()
    assert shape == ov.PartialShape([batch, small.CLASSES])
    assert np.abs(probabilities(model, frames) - expected).max() < 3e-5


@pytest.mark.parametrize("output", ["scores", "scores:0"])
@pytest.mark.parametrize("write", [frozen, saved_model])
def test_verification_accepts_the_output_name_with_and_without_its_port(
    write: Callable[..., Path], output: str, tmp_path: Path
) -> None:
    sources, model = convert(write(tmp_path / "net", output=output), tmp_path)
    assert ovm.verify(sources, model).holds
    assert names(model) == ({"data"}, {"scores"})


@pytest.mark.parametrize("write", [frozen, saved_model])
def test_verification_of_a_network_without_described_names(write: Callable[..., Path], tmp_path: Path) -> None:
    yml = without(write(tmp_path / "net"), "--output")
    text = yml.read_text().replace("=data[", "=[")
    head, _, rest = text.partition("input_info:")
    yml.write_text(head + rest[rest.index("model_optimizer_args") :])
    sources, model = convert(yml, tmp_path)
    assert ovm.verify(sources, model).holds


def test_the_output_need_not_be_the_last_node_of_the_file(tmp_path: Path) -> None:
    sources, model = convert(without(frozen(tmp_path / "net", afterthought=True), "--output"), tmp_path)
    assert ovm.verify(sources, model).holds


def test_one_of_two_signature_outputs_is_chosen_by_name(tmp_path: Path) -> None:
    sources, model = convert(saved_model(tmp_path / "net", features=True), tmp_path)
    assert ovm.verify(sources, model).holds


def test_a_graph_with_a_fixed_batch_is_run_with_full_batches(
    frames: np.ndarray, expected: np.ndarray, tmp_path: Path
) -> None:
    sources, model = convert(frozen(tmp_path / "net", batch=4), tmp_path)
    assert ovm.verify(sources, model).holds
    assert np.abs(probabilities(model, frames) - expected).max() < 3e-5


def test_a_keras_export_keeps_its_names_and_results(frames: np.ndarray, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(4)
    layers = keras.layers
    source = keras.Input((small.SIDE, small.SIDE, 3), name="data")
    current = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(source)
    current = layers.Dense(small.CLASSES, kernel_initializer=keras.initializers.RandomNormal(stddev=4))(
        layers.GlobalAveragePooling2D()(current)
    )
    module = keras.Model(source, layers.Softmax(name="Predictions")(current))
    (tmp_path / "net").mkdir()
    module.export(str(tmp_path / "net" / "made"), verbose=False)
    yml = describe_saved_model(tmp_path / "net")
    sources, model = convert(without(yml, "--output"), tmp_path)
    answer = probabilities(model, frames)
    assert np.abs(answer - module(networks.rgb(frames)).numpy()).max() < 3e-5
    assert np.ptp(answer, axis=0).max() > 0.1
    assert names(model) == ({"data"}, {"output_0"})
    assert ovm.verify(sources, model).holds


@pytest.mark.parametrize("output", ["no/such/tensor", "left_over"])
def test_a_graph_that_tensorflow_cannot_run_is_a_conversion_error(output: str, tmp_path: Path) -> None:
    config = ovm.load_config(frozen(tmp_path / "net", output=output, afterthought=True))
    plan = plan_conversion(config)
    with pytest.raises(ConversionError, match="no such input or output"):
        source_oracle(config, plan, config.folder / "small.pb")
    (config.folder / "small.pb").write_bytes(b"\xff\xfe no graph at all")
    with pytest.raises(ConversionError, match="tensorflow-cpu cannot run the source network"):
        source_oracle(config, plan, config.folder / "small.pb")
    saved = ovm.load_config(saved_model(tmp_path / "saved", output=output))
    with pytest.raises(ConversionError, match="signature has no such output"):
        source_oracle(saved, plan_conversion(saved), tmp_path / "saved" / "made")
    with pytest.raises(ConversionError, match="tensorflow-cpu cannot run the source network"):
        source_oracle(saved, plan_conversion(saved), tmp_path / "saved")
