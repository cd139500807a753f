"""The Open Model Zoo's own descriptions, verbatim out of the openvino-dev wheel: they load, plan and convert.

`make test-full` fetches the wheel into its environment. Nothing of it is kept in the repository.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import openvino as ov
import pytest
import small_networks as small
import tensorflow_networks as networks

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.geometry import geometry_of_dataset
from ov_mobilenet.zoo.registry import model_names

pytestmark = pytest.mark.full

MODELS = PurePosixPath("omz_tools/models/public")
TENSORFLOW = ("mobilenet-v1-0.25-128", "mobilenet-v1-1.0-224-tf", "mobilenet-v2-1.0-224", "mobilenet-v2-1.4-224")
PYTORCH = "mobilenet-v2-pytorch"
KERAS = ("mobilenet-v3-small-1.0-224-tf", "mobilenet-v3-large-1.0-224-tf")
NAMES = (*TENSORFLOW, PYTORCH, *KERAS)
IMAGES = 12


@pytest.fixture(scope="module")
def descriptions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one folder a model: `model.yml` and `accuracy-check.yml` as they are in the wheel."""
    wheels = sorted((Path(sys.prefix) / "omz").glob("openvino_dev-2024.6.0-*.whl"))
    if not wheels:
        pytest.skip("needs the openvino-dev 2024.6.0 wheel, which make test-full fetches")
    folder = tmp_path_factory.mktemp("omz")
    with zipfile.ZipFile(wheels[0]) as wheel:
        for name in NAMES:
            (folder / name).mkdir()
            for file in ("model.yml", "accuracy-check.yml"):
                (folder / name / file).write_bytes(wheel.read(str(MODELS / name / file)))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_description_loads_and_matches_the_shipped_one(name: str, descriptions: Path) -> None:
    theirs = ovm.load_config(descriptions / name / "model.yml")
    plan = plan_conversion(theirs)
    assert theirs.name == name
    assert theirs.accuracy_check is not None
    if name not in model_names():
        return
    ours = ovm.find_config(name)
    our_plan = plan_conversion(ours)
    digests = [(file.name, file.size, file.checksum) for file in theirs.files]
    assert [(file.name, file.size, file.checksum) for file in ours.files] == digests
    assert ours.postprocessing == theirs.postprocessing
    assert our_plan.normalisation == plan.normalisation
    assert our_plan.input == plan.input
    assert ours.accuracy_check is not None
    for kind in ("converted", "source"):
        mine, other = getattr(ours.accuracy_check, kind), getattr(theirs.accuracy_check, kind)
        if mine is not None and other is not None:
            assert str(geometry_of_dataset(mine)) == str(geometry_of_dataset(other))
            assert [(m.top_k, m.reference) for m in mine.metrics] == [(m.top_k, m.reference) for m in other.metrics]
    if plan.source.root == "dl_dir":  # else their network is made by a script, and ours is read as published
        assert our_plan == plan


@pytest.mark.parametrize("name", NAMES)
def test_a_description_gives_the_documented_values(name: str, descriptions: Path) -> None:
    # From the models' documents, typed in.
    config = ovm.load_config(descriptions / name / "model.yml")
    plan = plan_conversion(config)
    assert config.dataset is not None
    assert plan.normalisation.reverse_input_channels
    geometry = str(geometry_of_dataset(config.dataset))
    if name in TENSORFLOW:
        side = 128 if name.endswith("128") else 224
        assert (plan.input.name, plan.input.shape, plan.input.layout) == ("input", (1, side, side, 3), "NHWC")
        assert (set(plan.normalisation.mean), plan.normalisation.scale) == ({127.5}, (127.5,))
        assert plan.output == f"Mobilenet{'V1' if '-v1-' in name else 'V2'}/Predictions/Reshape_1"
        assert geometry == f"crop 0.875, resize {side}"
    elif name == PYTORCH:
        assert (plan.input.name, plan.input.shape, plan.input.layout) == ("data", (1, 3, 224, 224), "NCHW")
        assert plan.normalisation.mean == (123.675, 116.28, 103.53)
        assert plan.normalisation.scale == (58.624, 57.12, 57.375)
        assert (plan.model_name, plan.output) == ("mobilenet_v2", "prob")
        assert geometry == "resize 256 greater pillow, crop 224"
    else:
        assert (plan.input.name, plan.input.shape, plan.input.layout) == ("input_1", (1, 224, 224, 3), "NHWC")
        assert not plan.normalisation.mean
        assert not plan.normalisation.scale
        assert geometry == "resize 256, crop 224"


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_lists_the_planned_files(name: str, descriptions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(descriptions / name / "model.yml"), "--dry-run", "-o", "irs"]) == 0
    out = capsys.readouterr().out
    assert f"irs/public/{name}/FP16/{name}.xml" in out
    assert "reverse_input_channels" in out
    assert "to download" in out


def with_file(yml: Path, file: Path, folder: Path) -> Path:
    """A copy of the description in which size, checksum and source lines are those of another file."""
    target = folder / yml.parent.name
    target.mkdir(parents=True)
    (target / file.name).write_bytes(file.read_bytes())
    (target / "accuracy-check.yml").write_bytes(yml.with_name("accuracy-check.yml").read_bytes())
    lines = []
    for line in yml.read_text("utf-8").splitlines():
        key, colon, _ = line.partition(":")
        value = {
            "    size": str(file.stat().st_size),
            "    checksum": hashlib.sha384(file.read_bytes()).hexdigest(),
            "    source": f"{{$type: file, path: {file.name}}}",
        }.get(key)
        if key != "    original_source":
            lines.append(line if value is None else f"{key}{colon} {value}")
    (target / "model.yml").write_text("\n".join(lines) + "\n", "utf-8")
    return target / "model.yml"


def probabilities(yml: Path, out: Path, frames: np.ndarray) -> tuple[np.ndarray, ovm.IrModel]:
    """The IR's answers, once it holds against its source network in `--verify`."""
    sources = ovm.download(ovm.load_config(yml), out / "dl", cache_root=out / "cache", offline=True)
    (model,) = ovm.convert(sources, out / "ir", precisions=("FP32",))
    assert ovm.verify(sources, model).holds
    return ovm.load_classifier(model.xml, device="CPU", inference_precision="f32").probabilities(frames), model


@pytest.mark.parametrize("name", TENSORFLOW)
def test_a_frozen_graph_of_the_documented_names_converts(name: str, descriptions: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    plan = plan_conversion(ovm.load_config(descriptions / name / "model.yml"))
    assert plan.output is not None
    frames = small.frames(IMAGES, plan.input.shape[1])
    graph = tmp_path / plan.source.path
    networks.write_imagenet_graph(graph, frames, plan.output)
    networks.pack(tmp_path / "archive.tgz", graph, f"./{graph.name}")
    yml = with_file(descriptions / name / "model.yml", tmp_path / "archive.tgz", tmp_path / "zoo")
    answer, model = probabilities(yml, tmp_path, frames)
    rgb = networks.rgb(frames, [127.5], [127.5])
    expected = networks.answers(graph, rgb, source="input:0", target=f"{plan.output}:0")
    assert np.abs(answer - expected).max() < 3e-5
    assert expected.max() > 0.5, "the network says too little"
    swapped = networks.answers(graph, rgb[..., ::-1], source="input:0", target=f"{plan.output}:0")
    assert np.abs(swapped - expected).max() > 0.1, "the network would not see a wrong channel order"
    read = ov.Core().read_model(model.xml)
    assert read.inputs[0].get_names() == {"input"}
    assert plan.output in read.outputs[0].get_names()
    assert not any(":" in tensor for tensor in read.outputs[0].get_names())


def test_the_pytorch_description_converts(descriptions: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    state = small.v2_state(1000, side=224, spread=0.8)
    torch.save(state, tmp_path / "weights.pth")
    yml = with_file(descriptions / PYTORCH / "model.yml", tmp_path / "weights.pth", tmp_path / "zoo")
    frames = small.frames(IMAGES, 224)
    answer, _ = probabilities(yml, tmp_path, frames)
    module = MobileNetV2(classes=1000)
    module.load_state_dict(state)
    module.eval()

    def by_hand(rgb: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            probabilities: np.ndarray = module(torch.from_numpy(rgb.transpose(0, 3, 1, 2).copy())).softmax(1).numpy()
        return probabilities

    mean, scale = [123.675, 116.28, 103.53], [58.624, 57.12, 57.375]
    expected = by_hand(networks.rgb(frames, mean, scale))
    swapped = by_hand(networks.rgb(frames[..., ::-1], mean, scale))
    assert np.abs(answer - expected).max() < 3e-5
    assert np.abs(swapped - expected).max() > 1e-3, "the network would not see a wrong channel order"


@pytest.mark.filterwarnings("ignore")  # of Keras
@pytest.mark.parametrize("name", KERAS)
def test_the_keras_descriptions_convert_without_their_script(name: str, descriptions: Path, tmp_path: Path) -> None:
    import keras_networks

    kind = "Small" if "small" in name else "Large"
    network = keras_networks.build(f"MobileNetV3{kind}", 224)
    weights = keras_networks.write_published(network, tmp_path / "weights.h5")
    yml = with_file(descriptions / name / "model.yml", weights, tmp_path / "zoo")
    frames = keras_networks.frames(IMAGES, 224, seed=3)
    answer, model = probabilities(yml, tmp_path, frames)
    expected = network.predict(keras_networks.as_input(frames, halves=False), verbose=0)
    assert np.abs(answer - expected).max() < 3e-5
    swapped = network.predict(keras_networks.as_input(frames[..., ::-1], halves=False), verbose=0)
    assert np.abs(swapped - expected).max() > 0.1
    read = ov.Core().read_model(model.xml)
    assert read.inputs[0].get_names() == {"input_1"}
    assert f"StatefulPartitionedCall/MobilenetV3{kind.lower()}/Predictions/Softmax" in read.outputs[0].get_names()
