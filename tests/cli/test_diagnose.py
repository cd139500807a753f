"""`diagnose` on the sample model, with drawings that it was not trained on."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml
from parsed_page import Page
from signs import held_out, network_images
from small_networks import write_onnx

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.main import main
from ov_mobilenet.cli.progress import LineProgress
from ov_mobilenet.diagnosis.candidates import Candidate, named_candidates
from ov_mobilenet.diagnosis.conversion_command import conversion_options

pytest.importorskip("onnx")
DRAWINGS = 40
# The sample model takes RGB and -1..1; this is what another library would bake.
WRONG = ("--mean-values", "123.675,116.28,103.53", "--scale-values", "58.395,57.12,57.375",
         "--no-reverse-input-channels")  # fmt: skip


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


def run(*arguments: object) -> Run:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Run(code, out.getvalue(), err.getvalue())


def source_network() -> Path:
    (network,) = ovm.find_config(SAMPLE).folder.glob("*.onnx")
    return network


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings at the size of the network, and a file that is no image."""
    folder = tmp_path_factory.mktemp("drawings")
    for number, frame in enumerate(network_images(frame for frame, _ in held_out(2, DRAWINGS))):
        cv2.imwrite(str(folder / f"{number:02}.png"), frame)
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def wrong_ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample model with the wrong normalisation baked in."""
    folder = tmp_path_factory.mktemp("wrong")
    made = run("convert", "--source", source_network(), "--name", "mine", "-o", folder, "--precisions", "FP32", *WRONG)
    assert made.code == 0, made.err
    return Path(made.out.strip())


@pytest.fixture(scope="module")
def of_wrong_ir(wrong_ir: Path, drawings: Path) -> Run:
    """The table and the report of the wrong IR, with the unreadable image."""
    return run("diagnose", wrong_ir, "--images", drawings, "--report", wrong_ir.with_name("report.html"), "-q")


def test_a_wrong_normalisation_is_found_and_the_command_given_makes_it_right(
    of_wrong_ir: Run, drawings: Path, tmp_path: Path
) -> None:
    assert of_wrong_ir.code == 3, "3 outranks the 1 of the unreadable image"
    facts = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in of_wrong_ir.out.split("\n\n")[0].splitlines())
    assert facts["best"] == "tensorflow RGB"
    assert facts["baked"].startswith("baked BGR (mean 123.675, 116.28, 103.53; scale") and "wrong" in facts["baked"]
    assert facts["images"].startswith(f"{DRAWINGS};")
    (command,) = [line for line in of_wrong_ir.out.splitlines() if "convert --source" in line]
    words = shlex.split(command.replace(source_network().name, str(source_network())))
    made = run(*words[1:], "-o", tmp_path, "--precisions", "FP32")
    assert made.code == 0, made.err
    again = run("diagnose", made.out.strip(), "--images", drawings / "*.png", "--format", "json")
    assert again.code == 0
    found = again.json()
    assert found["baked"] == found["best"]
    assert (found["best"]["normalisation"], found["best"]["channel_order"]) == ("tensorflow", "RGB")
    assert found["is_wrong"] is False


def test_the_table_has_one_row_for_each_candidate_with_the_best_first(of_wrong_ir: Run) -> None:
    rows = [line.split() for line in of_wrong_ir.out.splitlines() if re.match(r"\S+ +(RGB|BGR) ", line)]
    assert rows[0][:2] == ["tensorflow", "RGB"]
    assert {(name, order) for name, order, *_ in rows} == {
        *((one.name, one.channel_order) for one in named_candidates()), ("baked", "BGR"),
    }  # fmt: skip
    scores = [float(row[2]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert 99 <= sum(float(row[3].rstrip("%")) for row in rows) <= 101


def test_an_unreadable_image_is_named_also_with_q(of_wrong_ir: Run, drawings: Path) -> None:
    assert f"error: {drawings / 'broken.jpg'}: " in of_wrong_ir.err
    assert len(of_wrong_ir.err.splitlines()) == 1


def test_the_report_has_the_figures_of_the_table(of_wrong_ir: Run, wrong_ir: Path) -> None:
    pytest.importorskip("jinja2")
    page = Page(wrong_ir.with_name("report.html").read_text("utf-8"))
    (best,) = [
        line.split() for line in of_wrong_ir.out.splitlines() if line.startswith("tensorflow ") and "RGB" in line
    ]
    assert ["tensorflow", "RGB", best[2]] in [row[:3] for row in page.rows]
    assert "broken.jpg" in page.all_text() and "What is baked is wrong" in page.all_text()


def test_json_of_a_source_network(drawings: Path) -> None:
    done = run("diagnose", source_network(), "--images", drawings, "--format", "json")
    assert done.code == 1, "an image could not be read; the others were used"
    found = done.json()
    assert found["schema_version"] == 1
    assert found["model"] == str(source_network())
    assert found["images"] == DRAWINGS
    assert [Path(failure["source"]).name for failure in found["failures"]] == ["broken.jpg"]
    assert found["evidence"] == "mutual_information"
    assert found["verdict"] in ("sure", "likely")
    assert found["baked"] is None and found["is_wrong"] is False and found["is_ir"] is False
    assert found["best"] == {
        "normalisation": "tensorflow", "channel_order": "RGB", "mean_values": [127.5], "scale_values": [127.5],
    }  # fmt: skip
    assert len(found["candidates"]) == 14
    first = found["candidates"][0]
    assert first["same_as_best"] is True and first["share"] > 0.8
    assert {key: first[key] for key in found["best"]} == found["best"]


def test_given_numbers_are_a_candidate_in_both_orders(drawings: Path) -> None:
    done = run("diagnose", source_network(), "--images", drawings / "0?.png", "--images", drawings / "1?.png",
               "--mean-values", "10,20,30", "--scale-values", "40", "--format", "json")  # fmt: skip
    assert done.code == 0
    assert done.json()["images"] == 20
    given = [one for one in done.json()["candidates"] if one["normalisation"] == "given"]
    means = {one["channel_order"]: one["mean_values"] for one in given}
    assert means == {"RGB": [10, 20, 30], "BGR": [30, 20, 10]}


def test_the_seed_selects_the_images_and_the_same_seed_gives_the_same_output(drawings: Path) -> None:
    runs = [
        run("diagnose", source_network(), "--images", drawings / "*.png", "--limit", 12, "--seed", seed)
        for seed in (1, 1, 2)
    ]
    assert runs[0].out == runs[1].out != runs[2].out


def test_progress_counts_up_in_each_stage(drawings: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    ovm.diagnose(source_network(), drawings, limit=12, on_progress=lambda *call: calls.append(call))
    stages = list(dict.fromkeys(stage for stage, _, _ in calls))
    assert stages == ["images", "mutual information"]
    for stage in stages:
        steps = [(done, total) for name, done, total in calls if name == stage]
        assert steps == [(number, len(steps)) for number in range(1, len(steps) + 1)]


def test_each_stage_has_its_own_progress(drawings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LineProgress, "first_s", 0.0)  # a line for every step
    monkeypatch.setattr(LineProgress, "interval_s", 0.0)
    lines = run("diagnose", source_network(), "--images", drawings / "*.png", "--limit", 10).err.splitlines()
    assert lines[0].startswith(f"diagnose: images: 1 of {DRAWINGS}")
    assert f"diagnose: images: {DRAWINGS} of {DRAWINGS}" in lines
    assert lines[-1] == "diagnose: mutual information: 14 of 14"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no-such-model"], 2, "no-such-model"),
        (["no-such.onnx"], 2, "no-such.onnx: no such file or folder"),
        ([SAMPLE, "--architecture", "mobilenet_v1"], 2, "architecture is for source networks only"),
        (["SOURCE", "--images", "no-such-folder"], 1, "no-such-folder"),
        (["SOURCE", "--mean-values", "1,2"], 2, "--mean-values"),
        (["SOURCE", "--scale-values", "0"], 2, "--scale-values"),
        (["SOURCE", "--limit", "9"], 2, "--limit"),
        (["SOURCE", "--seed", "-1"], 2, "--seed"),
        (["SOURCE", "--geometry", "zoom 3"], 2, "zoom 3"),
        (["SOURCE", "--report", "page.pdf"], 2, "page.pdf"),
        (["SOURCE", "--report", "no-such-folder/page.html"], 2, "no-such-folder"),
    ],
)
def test_wrong_usage_is_one_error(
    arguments: list[str], code: int, words: str, drawings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [str(source_network()) if each == "SOURCE" else each for each in arguments]
    done = run("diagnose", *given, *([] if "--images" in given else ["--images", drawings]))
    assert done.code == code
    assert done.out == ""
    assert words in done.err.replace("\n", " ")
    assert "Traceback" not in done.err


def test_too_few_images_are_an_error_that_says_how_many(drawings: Path, tmp_path: Path) -> None:
    for name in ("00.png", "01.png", "broken.jpg"):
        shutil.copy(drawings / name, tmp_path / name)
    done = run("diagnose", source_network(), "--images", tmp_path, "--debug")
    assert done.code == 1 and done.out == ""
    assert "at least 10" in done.err and "2 of 3" in done.err
    assert "Traceback" in done.err, "--debug shows it"


def test_features_without_batch_norm_tell_nothing(drawings: Path, tmp_path: Path) -> None:
    network = write_onnx(tmp_path, end="pooled").with_name("small.onnx")
    done = run("diagnose", network, "--images", drawings)
    assert done.code == 2
    assert "nothing in the network tells its normalisation" in done.err


@pytest.mark.parametrize("candidate", [named_candidates()[number] for number in (0, 5, 6, 11)], ids=str)
def test_the_options_of_a_candidate_convert_to_it(candidate: Candidate, tmp_path: Path) -> None:
    """torchvision RGB, 0..1 BGR, 0..255 RGB, caffe BGR."""
    options = conversion_options(candidate).split()
    done = run("convert", "--source", source_network(), "--name", "mine", "-o", tmp_path, "--dry-run", *options)
    assert done.code == 0, done.err
    arguments = yaml.safe_load(re.split(r"(?m)^# .*accuracy-check.yml$", done.out)[0])["model_optimizer_args"]
    numbers = {
        name: [float(number) for number in text.split(",")]
        for name, text in re.findall(r"--(mean|scale)_values=\w*\[([^\]]*)\]", " ".join(arguments))
    }
    assert ("--reverse_input_channels" in arguments) == (candidate.channel_order == "RGB")
    assert numbers.get("mean", []) == pytest.approx(list(candidate.mean))
    assert numbers.get("scale", []) == pytest.approx(list(candidate.scale))
