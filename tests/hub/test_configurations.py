"""What config.json and preprocessor_config.json say, and what of it is refused, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ov_mobilenet.errors import ConfigError, ConversionError, OvMobilenetError
from ov_mobilenet.hub.declaration import RepositoryDeclaration, SettledByUser
from ov_mobilenet.hub.documents import JsonDocument, read_document
from ov_mobilenet.hub.timm_config import read_timm_config
from ov_mobilenet.hub.transformers_config import read_transformers_config
from ov_mobilenet.zoo.library_network import LibraryNetwork
from ov_mobilenet.zoo.normalisation import Normalisation

# As timm 1.0 saves them, with what matters here.
PRETRAINED: dict[str, Any] = {
    "tag": "e2400_r224_in1k", "custom_load": False, "input_size": [3, 224, 224], "test_input_size": [3, 256, 256],
    "fixed_input_size": False, "interpolation": "bicubic", "crop_pct": 0.875, "test_crop_pct": 0.95,
    "crop_mode": "center", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "num_classes": 1000,
    "pool_size": [7, 7], "first_conv": "conv_stem", "classifier": "classifier", "license": "apache-2.0",
}  # fmt: skip
TIMM: dict[str, Any] = {
    "architecture": "mobilenetv4_conv_small", "num_classes": 1000, "num_features": 1280, "global_pool": "avg",
    "model_args": {"num_classes": 1000, "in_chans": 3, "global_pool": "avg", "drop_rate": 0.2, "drop_path_rate": 0.1},
    "pretrained_cfg": PRETRAINED,
}  # fmt: skip
# As transformers 4 and 5 save them.
V2: dict[str, Any] = {
    "model_type": "mobilenet_v2", "architectures": ["MobileNetV2ForImageClassification"], "num_channels": 3,
    "image_size": 224, "depth_multiplier": 1.4, "depth_divisible_by": 8, "min_depth": 8, "expand_ratio": 6,
    "output_stride": 32, "first_layer_is_expansion": True, "finegrained_output": True, "hidden_act": "relu6",
    "tf_padding": True, "classifier_dropout_prob": 0.8, "initializer_range": 0.02, "layer_norm_eps": 0.001,
    "semantic_loss_ignore_index": 255, "id2label": {"0": "cat", "1": "dog", "2": "owl"}, "torch_dtype": "float32",
}  # fmt: skip
PROCESSOR: dict[str, Any] = {
    "image_processor_type": "MobileNetV2ImageProcessor", "do_resize": True, "size": {"shortest_edge": 256},
    "resample": 2, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "do_rescale": True,
    "rescale_factor": 0.00392156862745098, "do_normalize": True, "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}  # fmt: skip
HALF = Normalisation(mean=(127.5,) * 3, scale=(127.5,) * 3, reverse_input_channels=True)


def timm(changes: dict[str, Any], size: Any = "train", **settled: Any) -> RepositoryDeclaration:
    """Read timm's configuration with changes; those of a key with a dot are of `pretrained_cfg`."""
    data = {**TIMM, "pretrained_cfg": dict(PRETRAINED)}
    for key, value in changes.items():
        place = data["pretrained_cfg"] if key.startswith(".") else data
        place[key.removeprefix(".")] = value
    if "num_classes" in changes:
        data["pretrained_cfg"].pop("num_classes")
        data["model_args"] = changes.get("model_args", {})
    return read_timm_config(JsonDocument(Path("config.json"), _json(data)), size, SettledByUser(**settled))


def transformers(
    changes: dict[str, Any], processor: dict[str, Any] | None = PROCESSOR, **settled: Any
) -> RepositoryDeclaration:
    document = JsonDocument(Path("config.json"), _json({**V2, **changes}))
    beside = None if processor is None else JsonDocument(Path("preprocessor_config.json"), _json(processor))
    return read_transformers_config(document, beside, SettledByUser(**settled))


def _json(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(value))
    return found


def test_timm_as_published() -> None:
    found = timm({})
    assert found.network == LibraryNetwork(library="timm", architecture="mobilenetv4_conv_small", classes=1000)
    assert (found.output_kind, found.licence) == ("logits", "apache-2.0")
    assert found.declared.by == "config.json" and found.declared.labels is None
    assert str(found.declared.geometry) == "resize 256 greater bicubic pillow, crop 224"
    assert found.declared.size == (224, 224)
    pixels = np.arange(256)[:, None]
    expected = (pixels / 255 - PRETRAINED["mean"]) / PRETRAINED["std"]
    normalisation = found.declared.normalisation
    assert normalisation is not None and normalisation.reverse_input_channels
    assert np.abs((pixels - normalisation.mean) / normalisation.scale - expected).max() < 1e-8


def test_timm_in_the_flat_form_of_2022() -> None:
    flat = {**PRETRAINED, "architecture": "mobilenetv2_100", "num_classes": 2, "labels": ["cat", "dog"]}
    found = read_timm_config(JsonDocument(Path("config.json"), _json(flat)))
    assert found.network == LibraryNetwork(library="timm", architecture="mobilenetv2_100", classes=2)
    assert found.declared.labels == ("cat", "dog") and found.declared.size == (224, 224)


@pytest.mark.parametrize(
    ("changes", "size", "expected", "geometry"),
    [
        ({}, "test", (256, 256), "resize 269 greater bicubic pillow, crop 256"),
        ({".fixed_input_size": True}, "test", (224, 224), "resize 235 greater bicubic pillow, crop 224"),
        ({".test_input_size": None, ".test_crop_pct": None}, "test", (224, 224), None),
        ({".test_input_size": [3, 320, 320], ".test_crop_pct": 1.0}, "test", (320, 320), "resize 320 greater bicubic pillow, crop 320"),  # noqa: E501
        ({".interpolation": "bilinear"}, "train", (224, 224), "resize 256 greater pillow, crop 224"),
        ({".crop_mode": "squash", ".crop_pct": 1}, "train", (224, 224), "resize 224 bicubic pillow"),
        ({".crop_mode": "squash", ".input_size": [3, 160, 224], ".crop_pct": 1.0}, "train", (160, 224), "resize 160x224 bicubic pillow"),  # noqa: E501
        ({".crop_mode": None, ".interpolation": "", ".crop_pct": None}, "train", (224, 224), None),
    ],
)  # fmt: skip
def test_timm_size_and_geometry(
    changes: dict[str, Any], size: str, expected: tuple[int, int], geometry: str | None
) -> None:
    found = timm(changes, size).declared
    assert found.size == expected
    assert str(found.geometry) == (geometry or "resize 256 greater bicubic pillow, crop 224")


def test_timm_arguments_that_change_the_network_reach_the_architecture() -> None:
    arguments = {
        "bn_eps": 1e-3,
        "pad_type": "same",
        "drop_rate": 0.5,
        "pretrained": True,
        "in_chans": 3,
        "aa_layer": None,
    }
    found = timm({"num_classes": 7, "global_pool": "max", "model_args": {"num_classes": 7, **arguments}})
    assert found.network.arguments == {"bn_eps": 1e-3, "pad_type": "same", "global_pool": "max"}
    assert found.network.classes == 7
    assert timm({"architecture": "mobilenetv3_small_100.lamb_in1k"}).network.architecture == "mobilenetv3_small_100"


def test_mean_zero_and_deviation_one() -> None:
    found = timm({".mean": [0.0, 0.0, 0.0], ".std": [1.0, 1.0, 1.0]}).declared
    assert found.normalisation == Normalisation(scale=(255.0,) * 3, reverse_input_channels=True)


REFUSED_TIMM: list[tuple[dict[str, Any], str]] = [
    ({".crop_mode": "border"}, "pretrained_cfg.crop_mode: crop mode is not supported: .*got border"),
    ({".interpolation": "lanczos"}, "pretrained_cfg.interpolation: .*got lanczos"),
    ({".input_size": [3, 160, 224]}, "pretrained_cfg.input_size: .*expected a square, got 160x224"),
    ({".input_size": [1, 224, 224]}, "pretrained_cfg.input_size: the network does not take colour images"),
    ({".input_size": [3, 224]}, "pretrained_cfg.input_size"),
    ({".input_size": "224"}, "pretrained_cfg.input_size"),
    ({".input_size": [3, 0, 224]}, "pretrained_cfg.input_size"),
    ({".input_size": [3, 10**30, 224]}, "pretrained_cfg.input_size"),
    ({".crop_pct": 0}, "pretrained_cfg.crop_pct"),
    ({".crop_pct": 1.5}, "pretrained_cfg.crop_pct"),
    ({".crop_pct": 1e-9}, "pretrained_cfg.crop_pct: too small for the input size"),
    ({".mean": [0.5, 0.5]}, "pretrained_cfg.mean: wrong type or value: expected three numbers"),
    ({".mean": [1e300] * 3}, "pretrained_cfg.mean"),
    ({".std": [0.0, 1.0, 1.0]}, "pretrained_cfg.std: invalid scale"),
    ({".std": ["a", "b", "c"]}, "pretrained_cfg.std"),
    ({".custom_load": True}, "custom_load: the weights are not a state dict"),
    ({".label_offset": 1}, "label_offset"),
    ({"num_classes": 0}, "num_classes: the network has no classifier: .*Export it to ONNX"),
    ({"num_classes": 1}, "num_classes: a network with one output"),
    ({"num_classes": -1}, "num_classes"),
    ({"num_classes": 10**9}, "num_classes"),
    ({"num_classes": None, "model_args": {"num_classes": 10**9}, "label_names": {"0": "a"}}, "too many classes"),
    ({"num_classes": "5"}, "num_classes"),
    ({"num_classes": None, "model_args": {}}, "num_classes: missing key"),
    ({"num_classes": 5, "model_args": {"num_classes": 6}}, "model_args.num_classes: the number of classes is not"),
    ({"model_args": {"in_chans": 1}}, "model_args.in_chans: the network does not take colour images"),
    ({"model_args": {"features_only": True}}, "model_args.features_only: the network has no classifier"),
    ({"model_args": {"block_args": [1]}}, "model_args.block_args: unknown argument of the network"),
    ({"model_args": {"a\nb": 1}}, "unknown argument of the network"),
    ({"model_args": []}, "model_args: wrong type or value"),
    ({"problem_type": "multi_label_classification"}, "problem_type: .*--output-kind multilabel-logits"),
    ({"problem_type": "regression"}, "problem_type: not a network for classification"),
    ({"architectures": ["TimmWrapperModel"]}, "architectures: the network has no classifier"),
    ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ({"architecture": "../../x"}, "architecture: not the name of an architecture"),
    ({"architecture": None}, "architecture: wrong type or value"),
    ({"label_names": ["a", "b"]}, "label_names: the number of names differs"),
    ({"label_names": "abc"}, "label_names: wrong type or value"),
    ({"num_classes": 2, "label_names": ["a", {"b": 1}]}, r"label_names\[1\]: not a class name"),
    ({"num_classes": 2, "label_names": {"2": "a"}}, "label_names: not the index of a class"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), REFUSED_TIMM, ids=[str(changes)[:60] for changes, _ in REFUSED_TIMM])
def test_timm_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ConversionError), match=f"(?s)config.json: .*{message}") as caught:
        timm(changes)
    assert len(str(caught.value)) < 500


def test_options_of_the_user_settle_what_is_refused() -> None:
    assert timm({".crop_mode": "border"}, geometry=True).declared.geometry is None
    assert timm({".std": [0.0] * 3}, normalisation=True).declared.normalisation is None
    assert timm({}, geometry=True, normalisation=True).declared == timm({}).declared, "so that differences are reported"
    several = {"problem_type": "multi_label_classification"}
    assert timm(several, output_kind="multilabel-logits").output_kind == "multilabel-logits"
    assert timm({**several, "model_type": "timm_wrapper"}).output_kind == "multilabel-logits"  # transformers' own key


def test_transformers_as_published() -> None:
    found = transformers({})
    arguments = {key: V2[key] for key in list(V2)[4:12]} | {"tf_padding": True, "layer_norm_eps": 0.001}
    v1 = transformers({"model_type": "mobilenet_v1"}).network.arguments
    assert v1.keys() == {"depth_multiplier", "min_depth", "hidden_act", "tf_padding", "layer_norm_eps"}
    network = LibraryNetwork(library="transformers", architecture="mobilenet_v2", classes=3, arguments=arguments)
    assert found.network == network
    assert found.declared.normalisation == HALF and found.declared.size == (224, 224)
    assert str(found.declared.geometry) == "resize 256 greater pillow, crop 224 opencv"
    assert found.declared.labels == ("cat", "dog", "owl")
    assert found.declared.by == "config.json and preprocessor_config.json"


def test_a_processor_without_keys_has_the_defaults_of_its_class() -> None:
    found = transformers({}, {"feature_extractor_type": "MobileNetV2FeatureExtractor"})
    assert found.declared == transformers({}).declared


@pytest.mark.parametrize(
    ("changes", "geometry", "normalisation"),
    [
        ({"image_processor_type": None, "feature_extractor_type": "MobileNetV2FeatureExtractor"}, None, HALF),
        ({"image_processor_type": None, "feature_extractor_type": "ImageFeatureExtractor"}, None, HALF),
        ({"image_processor_type": "MobileNetV1ImageProcessorFast"}, None, HALF),
        ({"image_processor_type": None}, None, HALF),
        ({"size": 256, "crop_size": 224}, None, HALF),
        ({"size": {"height": 250, "width": 240}}, "resize 250x240 pillow, crop 224 opencv", HALF),
        ({"size": {"height": 192, "width": 224}, "do_center_crop": False}, "resize 192x224 pillow", HALF),
        ({"size": 99, "do_center_crop": False, "image_processor_type": "ViTImageProcessor"}, "resize 99 pillow", HALF),
        ({"resample": 3}, "resize 256 greater bicubic pillow, crop 224 opencv", HALF),
        ({"do_reduce_labels": True, "do_flip_channel_order": False}, None, HALF),
        ({"do_normalize": False}, None, Normalisation(scale=(255.0,), reverse_input_channels=True)),
        ({"do_normalize": False, "do_rescale": False}, None, Normalisation(reverse_input_channels=True)),
        ({"do_rescale": False, "image_mean": 127.5, "image_std": [58.0] * 3}, None,
         Normalisation(mean=(127.5,) * 3, scale=(58.0,) * 3, reverse_input_channels=True)),
        ({"rescale_factor": 0.00784313725490196, "image_mean": 1.0, "image_std": 1.0}, None, HALF),
    ],
)  # fmt: skip
def test_processors(changes: dict[str, Any], geometry: str | None, normalisation: Normalisation) -> None:
    found = transformers({}, {key: value for key, value in {**PROCESSOR, **changes}.items() if value is not None})
    assert str(found.declared.geometry) == (geometry or "resize 256 greater pillow, crop 224 opencv")
    assert found.declared.normalisation == normalisation


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resample": 1}, "resample: .*got 1"),
        ({"resample": 0}, "resample"),
        ({"resample": "bilinear"}, "resample"),
        ({"do_resize": False}, "do_resize"),
        ({"do_center_crop": False}, "do_center_crop: .*no fixed size"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order: unknown step"),
        ({"do_pad": True}, "do_pad: unknown step"),
        ({"crop_pct": 0.875}, "crop_pct: unknown step"),
        ({"size": {"longest_edge": 256}}, "size"),
        ({"size": {"shortest_edge": 256, "longest_edge": 300}}, "size"),
        ({"size": {"height": 256}}, "size"),
        ({"size": {"shortest_edge": 256, "height": 256, "width": 256}}, "size"),
        ({"size": [256, 256]}, "size"),
        ({"size": 0}, "size"),
        ({"crop_size": {"shortest_edge": 224}}, "crop_size"),
        ({"crop_size": 300}, "crop_size: .*black borders"),
        ({"rescale_factor": 0}, "rescale_factor"),
        ({"rescale_factor": 1e-30}, "image_mean"),
        ({"image_std": [0, 0, 0]}, "image_std: invalid scale"),
        ({"image_mean": [0.5, 0.5]}, "image_mean"),
        ({"image_processor_type": "ConvNextImageProcessor"}, "image_processor_type: unknown image processor"),
        ({"image_processor_type": "ImageFeatureExtractor", "size": 224}, "size"),
        ({"image_processor_type": "ImageFeatureExtractor", "image_std": None}, "image_std: missing key"),
        ({"image_processor_type": 5}, "image_processor_type: wrong type"),
    ],
)
def test_processors_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ConversionError), match=f"preprocessor_config.json: {message}"):
        transformers({}, {key: value for key, value in {**PROCESSOR, **changes}.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["MobileNetV2Model"]}, "architectures: .*got MobileNetV2Model"),
        ({"architectures": ["MobileNetV2ForSemanticSegmentation"]}, "architectures"),
        ({"num_channels": 1}, "num_channels"),
        ({"problem_type": "regression"}, "problem_type"),
        ({"id2label": {"0": "score"}}, "id2label: not a network for classification"),
        ({"id2label": {"0": "a", "7": "b"}}, "id2label: not the index of a class"),
        ({"id2label": {"0": "a", "1": "b"}, "num_labels": 3}, "id2label: the number of names differs from num_labels"),
        ({"id2label": None, "num_labels": -1}, "num_labels"),
        ({"depth_multiplier": [1.0]}, "depth_multiplier: wrong type"),
        ({"quantization_config": {}}, "quantization_config"),
    ],
)  # fmt: skip
def test_transformers_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ConversionError), match=f"config.json: {message}"):
        transformers(changes)


def test_transformers_without_names() -> None:
    assert transformers({"id2label": None}).network.classes == 2  # transformers' default, which it does not write
    placeholders = transformers({"id2label": {str(index): f"LABEL_{index}" for index in range(1000)}})
    assert (placeholders.network.classes, placeholders.declared.labels) == (1000, None)
    assert transformers({"problem_type": "multi_label_classification"}).output_kind == "multilabel-logits"


def test_a_missing_processor_is_refused_unless_the_user_says_the_normalisation() -> None:
    with pytest.raises(ConversionError, match=r"no preprocessor_config.json, which decides .*--geometry"):
        transformers({}, None)
    found = transformers({}, None, normalisation=True, geometry=True)
    assert found.declared.normalisation is None and found.declared.labels == ("cat", "dog", "owl")


def test_the_size_of_the_crop_remains_when_the_user_says_everything_else() -> None:
    small = {**PROCESSOR, "crop_size": {"height": 192, "width": 192}}
    found = transformers({}, small, normalisation=True, geometry=True).declared
    assert found.size == (192, 192) and found.normalisation == HALF


@pytest.mark.parametrize("change", [{"image_processor_type": "OtherProcessor"}, {"resample": "cubic"}])
def test_a_processor_that_is_not_read_does_not_matter_when_the_user_says_everything(change: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, ConversionError)):
        transformers({}, {**PROCESSOR, **change}, normalisation=True)
    found = transformers({}, {**PROCESSOR, **change}, normalisation=True, geometry=True).declared
    assert (found.size, found.geometry, found.normalisation) == (None, None, None)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'"x"', b"\xff\xfe{}", b"[" * 100_000, b'{"a": NaN}', b'{"a":' * 60_000, b'{"a": "\\ud800"}x',
     b" " * (9 << 20)],
    ids=["empty", "list", "cut", "text", "utf-16", "deep list", "NaN", "deep object", "surrogate", "large"],
)  # fmt: skip
def test_hostile_documents(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content)
    with pytest.raises(OvMobilenetError, match="config.json: ") as caught:
        read_document(file)
    assert len(str(caught.value)) < 400
