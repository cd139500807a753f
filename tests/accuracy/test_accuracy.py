"""`measure_accuracy` and `accuracy` on a small network whose probabilities are computed with numpy."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from known_network import Known, converted, val_txt
from PIL import Image
from small_networks import by_hand, frames, write_onnx

import ov_mobilenet as ovm
from ov_mobilenet.accuracy.reference import check_accuracy
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import AccuracyError, DatasetError, UsageError


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_top1_and_top5_match_numpy(known: Known, annotations: Path) -> None:
    report = ovm.measure_accuracy(known.xml, known.files[0].parent, annotations=annotations, device="CPU")
    assert (report.images, report.failed) == (12, 0)
    assert (report.top1, report.top5) == (5 / 12, 9 / 12)
    assert report.top1_interval == pytest.approx((0.1933, 0.6805), abs=5e-5)  # Wilson, 5 of 12, by hand
    assert (report.device, report.inference_precision, report.exif_orientation) == ("CPU", "f32", "ignored")
    expected: dict[int, list[int]] = {}
    for truth in known.partly_wrong_classes():
        expected.setdefault(truth, []).append(1)
    assert {entry.class_id: entry.images for entry in report.per_class} == {c: len(n) for c, n in expected.items()}
    wrong = sum(other.images for entry in report.worst_classes for other in entry.taken_for)
    assert wrong == 7


def test_class_numbers_of_a_network_with_background_are_higher_by_one(tmp_path: Path, known: Known) -> None:
    yml = write_onnx(tmp_path / "b", classes=8, extra="ov_mobilenet: {classes: 8, background_class: 0}\n")
    best = known.ranked(0)
    # A dataset has no background class, so images of that class are left out.
    rows = [(file.name, best[i] - 1) for i, file in enumerate(known.files) if best[i] > 0]
    report = ovm.measure_accuracy(
        converted(yml, tmp_path / "out"), known.files[0].parent, annotations=val_txt(tmp_path / "val.txt", rows)
    )
    assert (report.top1, report.images, report.background_class) == (1.0, len(rows), 0)
    assert {entry.class_id for entry in report.per_class} == {c for c in best if c > 0}


def test_exif_orientation_is_ignored(known: Known, tmp_path: Path) -> None:
    frame = np.concatenate([frames(4, seed=8)[i][:, 8 * i : 8 * i + 8] for i in range(4)], axis=1)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "3").mkdir()
    Image.fromarray(frame[:, :, ::-1]).save(tmp_path / "3" / "a.png", exif=exif)
    predictions = tmp_path / "p.jsonl"
    ovm.measure_accuracy(known.xml, tmp_path, predictions=predictions)
    (line,) = map(json.loads, predictions.read_text().splitlines())
    plain, turned = by_hand(frame, classes=8), by_hand(np.rot90(frame, -1), classes=8)
    assert abs(plain.max() - turned.max()) > 1e-3, "the frame must distinguish the two orientations"
    assert line["predictions"][0]["class_id"] == plain.argmax()
    assert line["predictions"][0]["probability"] == pytest.approx(plain.max(), abs=1e-5)
    # `classify` rotates the image.
    shown = ovm.load_classifier(known.xml, inference_precision="f32").classify(tmp_path / "3" / "a.png").best
    assert shown.probability == pytest.approx(turned.max(), abs=1e-5)


def test_a_given_geometry_is_used_and_reported(known: Known, annotations: Path) -> None:
    folder = known.files[0].parent
    asked = ovm.measure_accuracy(known.xml, folder, annotations=annotations, geometry="crop 0.5, resize 32")
    assert (asked.geometry, asked.geometry_from) == ("crop 0.5, resize 32", "asked")
    own = ovm.measure_accuracy(known.xml, folder, annotations=annotations)
    assert (own.geometry, own.geometry_from) == ("resize 32", "not known")


def test_unreadable_images_are_reported_and_the_others_are_measured(
    known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(f.name, c) for f, c in zip(known.files, known.partly_wrong_classes(), strict=True)]
    rows.insert(3, ("missing.png", 1))
    (tmp_path / "broken.png").write_bytes(b"no image")
    rows.append((str(tmp_path / "broken.png"), 2))
    code = run("accuracy", known.xml, "--dataset", known.files[0].parent, "--annotations",
               val_txt(tmp_path / "val.txt", rows), "--format", "json")  # fmt: skip
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert code == 1
    assert (report["images"], report["failed"], report["top1"]) == (12, 2, 5 / 12)
    assert [Path(failure["source"]).name for failure in report["failures"]] == ["missing.png", "broken.png"]
    assert err.count("error: ") == 2
    assert "2 of 14 images" in err


def test_a_dataset_without_readable_images_is_an_error(known: Known, tmp_path: Path) -> None:
    val_txt(tmp_path / "val.txt", [("missing.png", 1)])
    with pytest.raises(DatasetError, match=r"no image could be classified.*cannot be read"):
        ovm.measure_accuracy(known.xml, tmp_path)


def test_json_has_the_documented_keys(known: Known, annotations: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("accuracy", known.xml, "--dataset", known.files[0].parent, "--annotations", annotations,
               "--format", "json", "-d", "CPU") == 0  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    keys = {"schema_version", "model", "device", "inference_precision", "geometry", "images", "top1", "top5",
            "limit", "sample", "seed", "reference_top1", "reference_top5"}  # fmt: skip
    assert keys <= report.keys()
    assert (report["model"], report["reference_top1"]) == (str(known.xml), None)


def test_csv_table_and_markdown_have_the_same_figures(
    known: Known, annotations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("accuracy", known.xml, "--dataset", known.files[0].parent, "--annotations", annotations)
    assert run(*command, "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert (rows[0]["label"], rows[0]["images"]) == ("all", "12")
    assert float(rows[0]["top1"]) == 5 / 12
    assert sum(int(row["images"]) for row in rows[1:]) == 12
    assert run(*command, "--per-class") == 0
    table = capsys.readouterr().out
    assert "41.67%" in table
    assert "EXIF" in table
    assert "CPU at f32" in table
    assert "whole image is resized" in table
    for spelling in ("markdown", "md"):
        assert run(*command, "--per-class", "--format", spelling) == 0
        markdown = capsys.readouterr().out
        assert "| top-1 | 41.67% (95 %: 19.33% to 68.05%) |" in markdown
        assert "| id | class | images | top-1 | top-5 |\n| --- | --- | ---: | ---: | ---: |\n" in markdown


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--min-top1", "0.41"), 0),
        (("--min-top1", "0.42"), 3),
        (("--reference", "FILE"), 0),
        (("--reference", "published"), 2),  # the description publishes no accuracy
        (("--min-top1", "42"), 2),
        (("--resume",), 2),
        (("--limit", "2", "--sample", "2"), 2),
        (("--predictions", "p.txt"), 2),
        (("--annotations", "no-such-file"), 2),
    ],
)
def test_exit_codes(options: tuple[str, ...], code: int, known: Known, annotations: Path, tmp_path: Path) -> None:
    (tmp_path / "FILE").write_text('{"top1": 0.4200, "top5": 0.7450, "more": []}')
    words = [str(tmp_path / word) if word in ("FILE", "p.txt") else word for word in options]
    command = ("accuracy", known.xml, "--dataset", known.files[0].parent, "--annotations", annotations)
    assert run(*command, *words) == code


def test_a_failed_check_outranks_a_failed_image(known: Known, tmp_path: Path) -> None:
    rows = [(known.files[0].name, known.ranked(1)[0]), ("missing.png", 1)]
    command = ("accuracy", known.xml, "--dataset", known.files[0].parent,
               "--annotations", val_txt(tmp_path / "val.txt", rows))  # fmt: skip
    assert run(*command) == 1
    assert run(*command, "--min-top1", "0.5") == 3


def test_differences_above_and_below_the_reference_fail(known: Known, annotations: Path) -> None:
    report = ovm.measure_accuracy(known.xml, known.files[0].parent, annotations=annotations)  # 0.4167, 0.75
    check_accuracy(report, reference=(0.43, None), tolerance=0.014)
    check_accuracy(report, reference=(5 / 12 + 0.01, 0.76), tolerance=0.01)
    for reference, words in (((0.43, 0.75), "top-1 within"), ((0.40, 0.75), "top-1"), ((0.4167, 0.77), "top-5")):
        with pytest.raises(AccuracyError, match=words):
            check_accuracy(report, reference=reference, tolerance=0.01)


def test_the_sample_model_has_its_published_accuracy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The file names give the classes; with twelve samples, one wrong class changes top-1 by 0.083.
    for image in ovm.find_config(SAMPLE).folder.glob("samples/*.jpg"):
        folder = tmp_path / image.stem[: -len("_01")]
        folder.mkdir()
        (folder / image.name).write_bytes(image.read_bytes())
    assert run("accuracy", SAMPLE, "--dataset", tmp_path, "--offline", "--reference", "published",
               "--format", "json") == 0  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    assert (report["images"], report["top1"], report["reference_top1"]) == (12, 1.0, 0.998)
    assert (report["geometry"], report["geometry_from"]) == ("crop 0.875, resize 128", "model")


def test_limit_uses_the_first_images_and_sample_draws_with_the_seed(known: Known, annotations: Path) -> None:
    folder = known.files[0].parent
    first = ovm.measure_accuracy(known.xml, folder, annotations=annotations, limit=5, seed=3)
    assert (first.images, first.limit, first.sample, first.seed) == (5, 5, None, None)
    assert first.top1 == 1.0  # the first five images have the class that is ranked first
    drawn = ovm.measure_accuracy(known.xml, folder, annotations=annotations, sample=5, seed=3)
    assert (drawn.images, drawn.limit, drawn.sample, drawn.seed) == (5, None, 5, 3)
    assert drawn.per_class != first.per_class
    for options in ({"limit": 0}, {"sample": 0}):
        with pytest.raises(UsageError, match="invalid (limit|sample)"):
            ovm.measure_accuracy(known.xml, folder, annotations=annotations, **options)  # type: ignore[arg-type]


def test_limit_and_sample_of_the_command(known: Known, annotations: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("accuracy", known.xml, "--dataset", known.files[0].parent, "--annotations", annotations)
    assert run(*command, "--limit", 5) == 0
    assert "images    5, the first 5" in capsys.readouterr().out
    assert run(*command, "--sample", 5, "--seed", 3) == 0
    assert "images    5, drawn at random with seed 3" in capsys.readouterr().out


def test_device_settings_given_twice_are_refused(known: Known, annotations: Path) -> None:
    with pytest.raises(UsageError, match="device settings are given twice"):
        ovm.measure_accuracy(
            known.xml, known.files[0].parent, annotations=annotations, device="CPU", settings=ovm.DeviceSettings("CPU")
        )


def test_settings_keep_their_device_and_compute_in_f32(known: Known, annotations: Path) -> None:
    folder = known.files[0].parent
    report = ovm.measure_accuracy(known.xml, folder, annotations=annotations, settings=ovm.DeviceSettings("CPU"))
    assert (report.device, report.inference_precision) == ("CPU", "f32")
    with pytest.raises(UsageError, match="unknown option: expected device, .*cache_dir, .*limit, .*got limmit"):
        ovm.measure_accuracy(known.xml, folder, annotations=annotations, limmit=5)  # type: ignore[call-arg]


def test_the_ir_is_read_once(known: Known, annotations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ov_mobilenet.ir.files as files

    read: list[Path] = []
    real = files._read_ir

    def recorded(xml: Path, *more: Any) -> ov.Model:
        read.append(xml)
        return real(xml, *more)

    monkeypatch.setattr(files, "_read_ir", recorded)
    ovm.measure_accuracy(known.xml, known.files[0].parent, annotations=annotations)
    assert read == [known.xml]


def test_worst_limits_the_reported_confusions(
    known: Known, annotations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = ovm.measure_accuracy(known.xml, known.files[0].parent, annotations=annotations).worst_classes
    assert len(full) > 1
    command = ("accuracy", known.xml, "--dataset", known.files[0].parent, "--annotations", annotations)
    assert run(*command, "--worst", 1, "--format", "json") == 0
    (only,) = json.loads(capsys.readouterr().out)["worst_classes"]
    assert only["class_id"] == full[0].class_id
