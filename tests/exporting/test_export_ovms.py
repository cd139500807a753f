"""`export ovms` against the rules of the server, restated in `ovms_rules`; at f32, so that numbers can be compared."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from exporting.ovms_rules import Refused, Replay, check_config
from known_network import Known, converted
from quantised_networks import write_quantised
from small_networks import SIDE, frames, write_onnx

import ov_mobilenet as ovm
from ov_mobilenet.ir.files import open_ir

SAMPLE = "mobilenet-v1-0.25-128-signs"
CLOSE = 2e-6


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images that are not square and not of the input size, and whose borders differ from their middle."""
    folder = tmp_path_factory.mktemp("photos")
    files = []
    for number, (width, height) in enumerate([(90, 60), (48, 96), (33, 32), (200, 40)]):
        frame = frames(4, 64)[number]
        large = cv2.resize(frame, (width, height), interpolation=cv2.INTER_NEAREST)
        large[:, : width // 5] = 255 - large[:, : width // 5]
        files.append(folder / f"{number}.png")
        cv2.imwrite(str(files[-1]), large)
    return files


def answers(model: str | Path, files: list[Path], **options: object) -> np.ndarray:
    """The probabilities that `classify` gives, in the order of the classes."""
    return answered(loaded(model, **options), files)


def loaded(model: str | Path, **options: object) -> ovm.Classifier:
    return ovm.load_classifier(model, device="CPU", inference_precision="f32", **options)  # type: ignore[arg-type]


def answered(classifier: ovm.Classifier, files: list[Path]) -> np.ndarray:
    rows = []
    for file in files:
        found = classifier.classify(file, top_k=classifier.classes).top_k
        rows.append([one.probability for one in sorted(found, key=lambda one: one.class_id)])
    return np.array(rows)


def replayed(export: ovm.OvmsExport, name: str, files: list[Path]) -> np.ndarray:
    server = Replay(export.config)
    return np.concatenate([server.infer(name, [file.read_bytes()]) for file in files])


def form_of(known: Known, folder: Path, form: ovm.Form) -> Path:
    (model,) = ovm.convert(known.yml, folder, precisions=["FP32"], form=form, offline=True, cache_dir=folder / "cache")
    return model.xml


FORMS = {
    "f32 NCHW": ovm.Form(),
    "u8 NHWC, batch 4": ovm.Form(layout="NHWC", input_type="u8", batch=4),
    "RGB, any batch": ovm.Form(layout="NHWC", input_type="u8", color_format="rgb", batch=-1),
}


@pytest.mark.parametrize(
    "name", ["f32 NCHW", pytest.param("u8 NHWC, batch 4", marks=pytest.mark.full), "RGB, any batch"]
)
def test_the_server_answers_as_classify_with_the_whole_image(
    name: str, known: Known, photos: list[Path], tmp_path: Path
) -> None:
    xml = form_of(known, tmp_path, FORMS[name])
    export = ovm.export_ovms(xml, tmp_path / "out")
    expected = answers(xml, photos, geometry=f"resize {SIDE}")
    assert np.abs(replayed(export, "small", photos) - expected).max() < CLOSE
    # A frame of the input size against numpy: neither the export nor classify changes its channels or its values.
    assert np.abs(replayed(export, "small", known.files[:3]) - known.answers[:3]).max() < 1e-5
    again = answers(export.models[0].xml, photos)
    assert np.abs(again - answers(xml, photos)).max() < CLOSE


@pytest.mark.parametrize(
    "geometry",
    [pytest.param("crop 0.875, resize 32", marks=pytest.mark.full), "resize 40 greater pillow, crop 32"],
)
def test_with_the_geometry_in_the_graph_the_server_answers_as_classify(
    geometry: str, known: Known, photos: list[Path], tmp_path: Path
) -> None:
    export = ovm.export_ovms(known.xml, tmp_path / "out", bake_geometry=True, geometry=geometry)
    expected = answers(known.xml, photos, geometry=geometry)
    assert np.abs(replayed(export, "small", photos) - expected).max() < 0.01  # at most a grey level of rounding
    assert np.abs(answers(known.xml, photos, geometry="resize 32") - expected).max() > 0.1, "another geometry shows"
    assert np.abs(answers(export.models[0].xml, photos) - expected).max() < 0.01
    assert export.models[0].input_size is None


def test_an_ir_with_its_geometry_in_the_graph_keeps_it(known: Known, photos: list[Path], tmp_path: Path) -> None:
    form = ovm.Form(bake_geometry=True, batch=-1, layout="NCHW", input_type="f32")
    xml = form_of(known, tmp_path, form)
    export = ovm.export_ovms(xml, tmp_path / "out")
    assert np.abs(replayed(export, "small", photos) - answers(xml, photos)).max() < CLOSE
    with pytest.raises(ovm.UsageError, match="runs one image per request.*expected batch 1, got batch 1:2"):
        ovm.export_ovms(xml, tmp_path / "other", batch="1:2")


def foreign_ir(known: Known, xml: Path) -> Path:
    """An IR of another tool: u8 NHWC BGR with a softmax, but not our record; names as `labels`."""
    model = ov.Core().read_model(known.xml)
    plain = ov.Model(model.get_results(), model.get_parameters(), "foreign")
    plain.set_rt_info("a_b c d e f g h i", ["model_info", "labels"])
    plain.set_rt_info("Classification", ["model_info", "model_type"])
    xml.parent.mkdir(parents=True, exist_ok=True)
    ov.save_model(plain, xml, compress_to_fp16=False)
    return xml


@pytest.mark.parametrize("bake", [False, True])
def test_an_ir_of_another_tool(bake: bool, known: Known, photos: list[Path], tmp_path: Path) -> None:
    xml = foreign_ir(known, tmp_path / "foreign.xml")
    export = ovm.export_ovms({"other": xml}, tmp_path / "out", bake_geometry=bake)
    source, made = loaded(xml), loaded(export.models[0].xml)
    expected = answered(source, photos)
    assert np.abs(replayed(export, "other", photos) - expected).max() < (0.01 if bake else CLOSE)
    assert np.abs(answered(made, photos) - expected).max() < (0.01 if bake else CLOSE)
    assert source.labels == made.labels == ("a b", *"cdefghi")
    assert [type(one).__name__ for one in made.classify_batch(photos)] == ["Classification"] * len(photos)


@pytest.mark.full
def test_a_quantised_network(photos: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime.quantization")
    xml = converted(write_quantised(tmp_path / "int8", "qdq"), tmp_path / "ir")
    export = ovm.export_ovms({"int8": xml}, tmp_path / "out", batch="1:3")
    assert np.abs(replayed(export, "int8", photos) - answers(xml, photos, geometry="resize 32")).max() < CLOSE
    assert any(op.get_type_name() == "FakeQuantize" for op in ov.Core().read_model(export.models[0].xml).get_ops())


def test_a_multi_label_network(photos: list[Path], tmp_path: Path) -> None:
    yml = write_onnx(
        tmp_path / "many", end="sigmoid", extra="ov_mobilenet: {classes: 5, output: multilabel-probabilities}\n"
    )
    xml = converted(yml, tmp_path / "ir")
    export = ovm.export_ovms(xml, tmp_path / "out")
    found = replayed(export, "many", photos)
    assert np.abs(found - answers(xml, photos, geometry="resize 32")).max() < CLOSE
    assert np.abs(found.sum(1) - 1).max() > 0.1
    assert open_ir(export.models[0].xml).network.get_rt_info(["model_info", "multilabel"]).astype(str) == "True"


def test_rt_info_has_no_normalisation_that_a_reader_would_apply_again(known: Known, tmp_path: Path) -> None:
    (model,) = ovm.export_ovms(known.xml, tmp_path / "out", labels=("a b", *"cdefghi")).models
    ir = open_ir(model.xml)
    section = ir.network.rt_info["model_info"]
    assert {name: value.astype(str) for name, value in section.items()} == {
        "labels": "a_b c d e f g h i", "model_type": "Classification", "resize_type": "standard",
    }  # fmt: skip
    original = open_ir(known.xml).record
    assert ir.record is not None
    assert original is not None
    assert ir.record.labels == ("a b", *"cdefghi")
    assert (ir.record.normalisation, ir.record.sources) == (original.normalisation, original.sources)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (
            ovm.Form(color_format="nv12"),
            "cannot feed a network that takes YUV planes: expected BGR or RGB input, got nv12",
        )
    ],
)
def test_a_network_that_takes_planes_is_refused(form: ovm.Form, reason: str, known: Known, tmp_path: Path) -> None:
    with pytest.raises(ovm.ConversionError, match=reason):
        ovm.export_ovms(form_of(known, tmp_path, form), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_network_without_a_classifier_is_refused(tmp_path: Path) -> None:
    xml = converted(write_onnx(tmp_path / "pooled", end="pooled"), tmp_path / "ir")
    with pytest.raises(ovm.ConversionError, match="no classifier"):
        ovm.export_ovms(xml, tmp_path / "out")


def test_a_batch_that_the_graph_fixes_is_refused_with_the_reason(tmp_path: Path) -> None:
    image = ops.parameter([1, 3, 32, 32], np.float32, "data")
    pooled = ops.reduce_mean(image, np.array([2, 3]), False)
    scores = ops.concat([pooled, ops.constant(np.full((1, 5), 99, np.float32))], 1)
    plain = tmp_path / "fixed.xml"
    ov.save_model(ov.Model([ops.softmax(scores, 1)], [image], "fixed"), plain, compress_to_fp16=False)
    for batch in ("1:4", 3):
        with pytest.raises(
            ovm.ConversionError, match=f"batch.*expected .*{str(batch)[-1]}.*Convert the source network"
        ):
            ovm.export_ovms(plain, tmp_path / "out", batch=batch)
        assert not (tmp_path / "out").exists()
    ovm.export_ovms(plain, tmp_path / "out")


def test_a_range_of_batch_sizes(known: Known, tmp_path: Path) -> None:
    export = ovm.export_ovms(known.xml, tmp_path / "out", batch="1:3")
    server = Replay(export.config)
    files = [file.read_bytes() for file in known.files]
    assert np.abs(server.infer("small", files[:3]) - known.answers[:3]).max() < 1e-5
    assert np.abs(server.infer("small", files[4:5]) - known.answers[4:5]).max() < 1e-5
    with pytest.raises(Refused, match="INVALID_BATCH_SIZE"):
        server.infer("small", files[:4])
    large = cv2.imencode(".png", cv2.resize(known.frames[0], (50, 60)))[1].tobytes()
    assert server.infer("small", [large, files[1]]).shape == (2, 8), "a range does not switch the resize off"
    classifier = ovm.load_classifier(export.models[0].xml, device="CPU", inference_precision="f32")
    streamed = [one.best.class_id for one in classifier.classify_batch(known.files)]  # type: ignore[union-attr]
    assert streamed == known.ranked(0), "the limit of the server is not one for classify"
    assert "with fewer than" not in (export.folder / "README.md").read_text("utf-8")
    two = ovm.export_ovms(known.xml, tmp_path / "fixed", batch=2)
    with pytest.raises(Refused, match="INVALID_BATCH_SIZE"):
        Replay(two.config).infer("small", files[:1])
    text = (two.folder / "README.md").read_text("utf-8")
    assert "refuses requests with fewer than 2 images" in text, "the clients in the export send one"


@pytest.mark.parametrize("bake", [False, True])
def test_images_that_the_server_refuses(bake: bool, known: Known, tmp_path: Path) -> None:
    export = ovm.export_ovms(known.xml, tmp_path / "out", bake_geometry=bake)
    server = Replay(export.config)
    frame = known.frames[0]
    grey, alpha = frame[:, :, 0], np.dstack([frame, frame[:, :, 0]])
    for image in (grey, alpha):
        with pytest.raises(Refused, match="INVALID_NO_OF_CHANNELS"):
            server.infer("small", [cv2.imencode(".png", image)[1].tobytes()])
    with pytest.raises(Refused, match="IMAGE_PARSING_FAILED"):
        server.infer("small", [b"no image"])
    text = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "Grey images and images with an alpha channel are errors" in text


def test_config_json(known: Known, tmp_path: Path) -> None:
    export = ovm.export_ovms({"one": known.xml, "two": known.xml}, tmp_path / "out", batch="1:8", device="GPU")
    document = json.loads(export.config.read_text("utf-8"))
    check_config(document)
    assert document == {
        "model_config_list": [
            {
                "config": {
                    "name": name, "base_path": f"models/{name}", "layout": "NHWC", "shape": "(1:8,32,32,3)",
                    "target_device": "GPU",
                }
            }
            for name in ("one", "two")
        ]
    }  # fmt: skip
    for name in ("one", "two"):
        assert (tmp_path / "out" / "models" / name / "1" / f"{name}.bin").is_file()
    baked = json.loads(ovm.export_ovms(known.xml, tmp_path / "baked", bake_geometry=True).config.read_text("utf-8"))
    check_config(baked)
    assert baked["model_config_list"][0]["config"]["batch_size"] == 1
    assert baked["model_config_list"][0]["config"]["target_device"] == "CPU"


@pytest.mark.parametrize(
    "change",
    [
        {"mean": "1"}, {"scale": "1"}, {"color_format": "BGR"}, {"precision": "f32"}, {"nireq": "4"}, {"nireq": -1},
        {"plugin_config": {"NUM_STREAMS": 2}}, {"layout": ["NHWC"]}, {"batch_size": True},
    ],
)  # fmt: skip
def test_the_restated_schema_refuses_what_the_server_refuses(change: dict[str, object]) -> None:
    config = {"name": "a", "base_path": "models/a"}
    check_config({"model_config_list": [{"config": config}]})
    with pytest.raises(Refused):
        check_config({"model_config_list": [{"config": {**config, **change}}]})


def test_an_export_gives_the_same_bytes_again(known: Known, tmp_path: Path) -> None:
    first, second = (ovm.export_ovms(known.xml, tmp_path / name, bake_geometry=True) for name in ("a", "b"))
    files = sorted(path.relative_to(first.folder) for path in first.folder.rglob("*") if path.is_file())
    assert len(files) == 7
    assert [(first.folder / file).read_bytes() for file in files] == [
        (second.folder / file).read_bytes() for file in files
    ]


INVALID_BATCHES = {
    "-1": "upper limit", "1:-1": "upper limit", "1:": "upper limit", "auto": "upper limit", "8:1": "got '8:1'",
    "0": "1 to 4096", "1:4097": "1 to 4096", 1.5: "integer", "2x": "such as 1:8",
}  # fmt: skip


@pytest.mark.parametrize(("batch", "reason"), INVALID_BATCHES.items())
def test_invalid_batches(batch: object, reason: str, known: Known, tmp_path: Path) -> None:
    with pytest.raises(ovm.UsageError, match=f"invalid batch.*{reason}"):
        ovm.export_ovms(known.xml, tmp_path / "out", batch=batch)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("bake", [False, pytest.param(True, marks=pytest.mark.full)])
def test_the_expected_answer_in_the_readme_is_that_of_the_server(bake: bool, tmp_path: Path) -> None:
    export = ovm.export_ovms(SAMPLE, tmp_path / "out", bake_geometry=bake)
    (found,) = replayed(export, SAMPLE, [export.folder / "example.png"])
    text = (export.folder / "README.md").read_text("utf-8")
    labels = (export.folder / "labels" / f"{SAMPLE}.txt").read_text("utf-8").splitlines()
    for class_id in np.argsort(-found)[:3]:
        row = next(line for line in text.splitlines() if line.startswith(f"| {class_id} | {labels[class_id]} |"))
        assert float(row.split("|")[3]) == pytest.approx(found[class_id], rel=0.02)
    assert ("crop 0.875" in text) is not bake, "the geometry that clients have to apply"


def test_text_in_an_ir_cannot_write_control_codes_into_the_readme(known: Known, tmp_path: Path) -> None:
    model = ov.Core().read_model(foreign_ir(known, tmp_path / "foreign.xml"))
    model.inputs[0].get_tensor().set_names({"in'put\x1b[31m\n| x"})
    ov.save_model(model, tmp_path / "hostile.xml", compress_to_fp16=False)
    names = ("a\x1b[2J", "b|c", "d\ne", *"fghij")
    export = ovm.export_ovms(tmp_path / "hostile.xml", tmp_path / "out", labels=names)
    for file in ("README.md", "labels/hostile.txt", "config.json"):
        text = (export.folder / file).read_text("utf-8")
        assert all(line.isprintable() for line in text.split("\n")), file
    assert len((export.folder / "labels" / "hostile.txt").read_text("utf-8").splitlines()) == 8
    table = [line for line in (export.folder / "README.md").read_text("utf-8").splitlines() if line.startswith("|")]
    assert [line.replace("\\|", "").count("|") for line in table] == [4] * 5
