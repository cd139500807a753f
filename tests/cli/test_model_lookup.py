"""Which IR runs for a MODEL given by name: the cached one, or one below `--ir-dir`, and what stderr says about it."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.main import main
from ov_mobilenet.resolve import IrChoice

CHECK = (
    "models: [{name: small, launchers: [{framework: openvino}], datasets: [{name: d, preprocessing: "
    "[{type: resize, size: 32}]}]}]\n"
)


def description(folder: Path, label: str) -> Path:
    yml = small.write_onnx(folder / "small", extra="ov_mobilenet: {labels: names.txt}\n")
    yml.with_name("names.txt").write_text("\n".join(f"{label} {number}" for number in range(5)))
    yml.with_name("accuracy-check.yml").write_text(CHECK)
    return yml


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of descriptions with the model `small`."""
    return description(tmp_path_factory.mktemp("zoo"), "cached").parent.parent


@pytest.fixture(scope="module")
def own_irs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """IRs of a model of that name with other labels, FP32 and FP16: `public/small/PRECISION/small.xml`."""
    out = tmp_path_factory.mktemp("own")
    yml = description(out / "description", "own")
    sources = ovm.download(ovm.load_config(yml), out / "dl", cache_root=out / "cache")
    ovm.convert(sources, out / "public" / "small", precisions=("FP32", "FP16"))
    return out


@pytest.fixture
def image(tmp_path: Path) -> str:
    cv2.imwrite(str(tmp_path / "a.png"), small.frames()[0])
    return str(tmp_path / "a.png")


def classify(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, the best label without its number, stderr."""
    code = main(["classify", *map(str, arguments), "--format", "jsonl"])
    out, err = capsys.readouterr()
    return code, json.loads(out)["predictions"][0]["label"].split()[0] if out else "", err


def test_a_name_runs_the_cached_ir_and_says_so_in_one_line(
    zoo: Path, image: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ("small", image, "--config-dir", zoo, "--cache-dir", tmp_path / "cache")
    for state in ("just converted", "cached"):
        code, label, err = classify(capsys, *arguments)
        assert (code, label) == (0, "cached")
        assert err.startswith(f"using IR {tmp_path / 'cache'}")
        assert err.endswith(f"FP32/small.xml ({state}; run your own with --ir-dir DIR)\n")
        assert err.count("\n") == 1
    assert classify(capsys, *arguments, "-q") == (0, "cached", "")


def test_ir_dir_runs_what_convert_wrote(
    zoo: Path, own_irs: Path, image: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_irs)
    code, label, err = classify(capsys, "small", image, "--config-dir", zoo)
    assert (code, label) == (0, "cached")
    assert err.endswith("; public/small/FP32/small.xml exists but is not used; add --ir-dir . to use it)\n")
    code, label, err = classify(capsys, "small", image, "--config-dir", zoo, "--ir-dir", ".")
    assert (code, label) == (0, "own")
    assert err == "using IR public/small/FP32/small.xml (also there: FP16; run one by its path)\n"
    # The path of an IR names the file: there is nothing to say.
    assert classify(capsys, "public/small/FP16/small.xml", image, "--ir-dir", ".") == (0, "own", "")


@pytest.mark.parametrize("layout", ["public/small", "small", "."])
@pytest.mark.parametrize("precision", ["FP32", "FP16", "FP16-INT8"])
def test_ir_dir_finds_each_layout_without_a_description(
    layout: str, precision: str, own_irs: Path, image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "irs" / layout / precision
    shutil.copytree(own_irs / "public" / "small" / "FP16", target)
    code, label, err = classify(capsys, "small", image, "--ir-dir", tmp_path / "irs")
    assert (code, label) == (0, "own")
    assert err == f"using IR {target / 'small.xml'}\n"


def test_ir_dir_without_an_ir_says_what_was_looked_for(
    zoo: Path, image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "irs" / "public" / "small").mkdir(parents=True)
    code, _, err = classify(capsys, "small", image, "--config-dir", zoo, "--ir-dir", tmp_path / "irs")
    assert code == 2
    assert (
        f"{tmp_path / 'irs'}: no IR of small: expected public/small/PRECISION/small.xml, small/PRECISION/small.xml or"
        in err
    )
    assert "Convert it: ov-mobilenet convert small -o" in err
    code, _, err = classify(capsys, "no-such-model", image, "--ir-dir", tmp_path / "irs")
    assert code == 2
    assert "unknown model 'no-such-model'" in err
    code, _, err = classify(capsys, "small", image, "--ir-dir", tmp_path / "no-such-folder")
    assert code == 2
    assert "--ir-dir" in err


def test_a_command_without_ir_dir_names_the_other_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark-app", "-m", SAMPLE, "-t", "0.05", "-no_warmup"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("; run your own by the path of its .xml)")


def test_in_python_the_choice_is_logged(own_irs: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ov_mobilenet.resolve"):
        classifier = ovm.load_classifier("small", device="CPU", ir_dir=own_irs)
    assert classifier.labels == tuple(f"own {number}" for number in range(5))
    (record,) = caplog.records
    xmls = [own_irs / "public" / "small" / precision / "small.xml" for precision in ("FP32", "FP16")]
    assert vars(record)["ir_choice"] == IrChoice("small", xmls[0], "ir_dir", (xmls[1],))
    assert str(xmls[0]) in record.getMessage()
    with pytest.raises(ovm.UsageError, match="no IR of"):
        ovm.load_classifier(SAMPLE, device="CPU", ir_dir=str(own_irs / "public"))


@pytest.mark.parametrize("options", [{"cache_dir": ""}, {"ir_dir": ""}, {"config_dirs": [""]}])
def test_an_empty_text_is_no_folder(options: dict[str, Any]) -> None:
    with pytest.raises(ovm.UsageError, match=f"invalid {next(iter(options))}: expected a folder"):
        ovm.find_config(SAMPLE, **options)
