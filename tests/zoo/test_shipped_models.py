"""One walk over the shipped descriptions, and five models against numbers copied from their documents by hand."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import small_networks as small

from ov_mobilenet.conversion.complexity import complexity
from ov_mobilenet.downloads.cache import is_valid
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.geometry import Crop, Resize, channel_order, geometry_of_dataset
from ov_mobilenet.zoo.labels import background_class, config_labels
from ov_mobilenet.zoo.model import HttpSource
from ov_mobilenet.zoo.registry import find_config, model_names, zoo_folder


def test_every_folder_of_the_zoo_holds_both_files() -> None:
    folders = [path for path in zoo_folder().iterdir() if path.is_dir()]
    assert sorted(path.name for path in folders) == model_names()
    assert all((path / "accuracy-check.yml").is_file() for path in folders)


@pytest.mark.parametrize("name", model_names())
def test_a_shipped_description_is_complete_and_consistent(name: str) -> None:
    config = find_config(name)
    assert config.name == name
    for file in config.files:
        assert file.size > 0
        assert file.checksum is not None
        assert len(file.checksum.value) == {"sha384": 96, "sha256": 64}[file.checksum.algorithm]
        assert len(set(file.checksum.value)) > 8, "a placeholder instead of a digest"
        assert file.sources
        for source in file.sources:
            if isinstance(source, HttpSource):
                assert source.url.startswith("https://")
            else:  # a network that is shipped beside its description
                assert is_valid(config.folder / source.path, file)

    plan = plan_conversion(config)
    shape = dict(zip(plan.input.layout, plan.input.shape, strict=True))
    assert (shape["N"], shape["C"]) == (1, 3)
    assert plan.output
    if plan.source.root == "dl_dir" and not config.postprocessing:
        assert plan.source.path in {file.name for file in config.files}

    check = config.accuracy_check
    assert check is not None and check.converted is not None
    geometry = geometry_of_dataset(check.converted)
    assert geometry is not None
    last = geometry.steps[-1]
    assert isinstance(last, Resize | Crop)
    assert (last.height, last.width) == (shape["H"], shape["W"])
    assert channel_order(check.converted) == "BGR", "an Open Model Zoo IR takes BGR"
    if check.source is not None:
        assert channel_order(check.source) == ("RGB" if plan.normalisation.reverse_input_channels else "BGR")

    details = config.details
    assert len(config_labels(config) or ()) == details.classes
    assert background_class(config) == (0 if details.classes == 1001 else None)
    assert details.gflops is not None and details.mparams is not None
    if details.accuracy is None:  # our own sample: nothing was published, what we measured is the reference
        assert (check.reference(1) or 0.0) > 0.95
        return
    assert 0.0 < details.accuracy.top1 < details.accuracy.top5 < 1.0
    for dataset in filter(None, (check.converted, check.source)):
        references = {metric.top_k: metric.reference for metric in dataset.metrics}
        # A fraction, and that of the document: a point apart at most.
        assert references[1] == pytest.approx(details.accuracy.top1, abs=0.01)
        assert references[5] == pytest.approx(details.accuracy.top5, abs=0.01)
    assert check.reference(1) == check.converted.metrics[0].reference


class Facts(NamedTuple):
    file: str
    size: int
    digest: str
    framework: str
    source: str
    input: tuple[str, tuple[int, ...], str]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    output: str
    ends_in: str
    classes: int
    top1: float
    top5: float
    geometry: str


# From the documents of the models (Open Model Zoo, ONNX Model Zoo), typed in, not computed.
FACTS = {
    "mobilenet-v1-0.25-128": Facts(
        "mobilenet_v1_0.25_128.tgz", 10800019, "sha384:274f37d5b52f", "tf", "mobilenet_v1_0.25_128_frozen.pb",
        ("input", (1, 128, 128, 3), "NHWC"), (127.5, 127.5, 127.5), (127.5,),
        "MobilenetV1/Predictions/Reshape_1", "probabilities", 1001, 0.4054, 0.65, "crop 0.875, resize 128",
    ),
    "mobilenet-v2-pytorch": Facts(
        "mobilenet_v2-b0353104.pth", 14212972, "sha384:ca1be3e2eb80", "pytorch", "mobilenet_v2-b0353104.pth",
        ("data", (1, 3, 224, 224), "NCHW"), (123.675, 116.28, 103.53), (58.624, 57.12, 57.375),
        "prob", "logits", 1000, 0.719, 0.903, "resize 256 greater pillow, crop 224",
    ),
    "mobilenetv2-7": Facts(
        "mobilenetv2-7.onnx", 14246826, "sha256:c1c513582d56", "onnx", "mobilenetv2-7.onnx",
        # 255 times 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225
        ("data", (1, 3, 224, 224), "NCHW"), (123.675, 116.28, 103.53), (58.395, 57.12, 57.375),
        "mobilenetv20_output_flatten0_reshape0", "logits", 1000, 0.7094, 0.8999, "resize 256 greater pillow, crop 224",
    ),
    "mobilenetv2-12": Facts(
        "mobilenetv2-12.onnx", 13964571, "sha256:c0c3f76d93fa", "onnx", "mobilenetv2-12.onnx",
        ("input", (1, 3, 224, 224), "NCHW"), (123.675, 116.28, 103.53), (58.395, 57.12, 57.375),
        "output", "logits", 1000, 0.6948, 0.8926, "resize 256 greater pillow, crop 224",
    ),
    "mobilenet-v3-small-pytorch": Facts(
        "mobilenet_v3_small-047dcff4.pth", 10306551, "sha256:047dcff4", "pytorch", "mobilenet_v3_small-047dcff4.pth",
        ("data", (1, 3, 224, 224), "NCHW"), (123.675, 116.28, 103.53), (58.395, 57.12, 57.375),
        "prob", "logits", 1000, 0.67668, 0.87402, "resize 256 greater pillow, crop 224",
    ),
    "mobilenet-v3-large-pytorch": Facts(
        "mobilenet_v3_large-8738ca79.pth", 22139423, "sha256:8738ca79", "pytorch", "mobilenet_v3_large-8738ca79.pth",
        ("data", (1, 3, 224, 224), "NCHW"), (123.675, 116.28, 103.53), (58.395, 57.12, 57.375),
        "prob", "logits", 1000, 0.74042, 0.9134, "resize 256 greater pillow, crop 224",
    ),
    "mobilenet-v3-small-1.0-224-tf": Facts(
        "weights_mobilenet_v3_small_224_1.0_float.h5", 10734624, "sha384:d342c446ceec", "keras",
        "weights_mobilenet_v3_small_224_1.0_float.h5", ("input_1", (1, 224, 224, 3), "NHWC"), (), (),
        "StatefulPartitionedCall/MobilenetV3small/Predictions/Softmax", "probabilities", 1000, 0.6736, 0.8744,
        "resize 256, crop 224",
    ),
    "mobilenet-v3-large-1.0-224-tf": Facts(
        "weights_mobilenet_v3_large_224_1.0_float.h5", 22661472, "sha384:4e7e0ecab69b", "keras",
        "weights_mobilenet_v3_large_224_1.0_float.h5", ("input_1", (1, 224, 224, 3), "NHWC"), (), (),
        "StatefulPartitionedCall/MobilenetV3large/Predictions/Softmax", "probabilities", 1000, 0.753, 0.9262,
        "resize 256, crop 224",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTS)
def test_a_shipped_description_matches_the_published_facts(name: str) -> None:
    config, facts = find_config(name), FACTS[name]
    plan = plan_conversion(config)
    (file,) = config.files
    assert (file.name, file.size) == (facts.file, facts.size)
    assert file.checksum is not None
    assert f"{file.checksum.algorithm}:{file.checksum.value}".startswith(facts.digest)
    assert config.framework == facts.framework
    assert plan.source.path == facts.source
    assert (plan.input.name, plan.input.shape, plan.input.layout) == facts.input
    assert plan.normalisation.reverse_input_channels
    assert plan.normalisation.mean == facts.mean
    assert plan.normalisation.scale == facts.scale
    assert plan.output == facts.output
    assert config.details.output == facts.ends_in
    assert config.details.classes == facts.classes
    assert config.accuracy_check is not None and config.dataset is not None
    assert config.accuracy_check.reference(1) == facts.top1
    assert config.accuracy_check.reference(5) == facts.top5
    assert str(geometry_of_dataset(config.dataset)) == facts.geometry


# What each model is; the ONNX and TensorFlow descriptions do not say it in so many words.
ARCHITECTURES = {
    "mobilenet-v1-0.25-128": ("mobilenet_v1", 0.25),
    "mobilenet-v1-0.25-128-signs": ("mobilenet_v1", 0.25),
    "mobilenet-v1-0.50-160": ("mobilenet_v1", 0.5),
    "mobilenet-v1-0.50-224": ("mobilenet_v1", 0.5),
    "mobilenet-v1-1.0-224-tf": ("mobilenet_v1", 1.0),
    "mobilenet-v2-1.0-224": ("mobilenet_v2", 1.0),
    "mobilenet-v2-1.4-224": ("mobilenet_v2", 1.4),
    "mobilenet-v2-pytorch": ("mobilenet_v2", 1.0),
    "mobilenet-v3-large-1.0-224-tf": ("mobilenet_v3_large", 1.0),
    "mobilenet-v3-large-pytorch": ("mobilenet_v3_large", 1.0),
    "mobilenet-v3-small-1.0-224-tf": ("mobilenet_v3_small", 1.0),
    "mobilenet-v3-small-pytorch": ("mobilenet_v3_small", 1.0),
    "mobilenetv2-12": ("mobilenet_v2", 1.0),
    "mobilenetv2-7": ("mobilenet_v2", 1.0),
}


@pytest.mark.full
@pytest.mark.parametrize("name", model_names())
def test_gflops_and_mparams_are_those_of_the_architecture(name: str) -> None:
    pytest.importorskip("torch")
    config = find_config(name)
    plan = plan_conversion(config)
    architecture, width = ARCHITECTURES[name]
    if config.framework == "pytorch":
        assert plan.model_name == architecture
    side = dict(zip(plan.input.layout, plan.input.shape, strict=True))["H"]
    classes = config.details.classes
    assert classes is not None
    counted = complexity(small.architecture_ir(architecture, width=width, classes=classes, side=side))
    assert config.details.gflops == pytest.approx(counted.gflops, rel=0.03)
    assert config.details.mparams == pytest.approx(counted.mparams, rel=0.03)
