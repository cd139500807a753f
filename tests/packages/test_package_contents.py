"""What the wheel and the sdist contain, against the files of the checkout, and what their metadata says.

Both are built here as pip builds them. `make test-packages` installs them and compares their bytes.
"""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import importlib
import io
import re
import tarfile
import zipfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

import pytest

import ov_mobilenet

hatchling = pytest.importorskip("hatchling.build")
pytest.importorskip("hatch_fancy_pypi_readme")

ROOT = Path(__file__).resolve().parents[2]
SDIST_FOLDERS = ("ov_mobilenet", "model_configs", "tests", "tools", "demos", "docs")
SAMPLE = "ov_mobilenet/model_configs/mobilenet-v1-0.25-128-signs"
INFO = f"ov_mobilenet-{ov_mobilenet.__version__}.dist-info"


def files_below(folder: str) -> dict[str, bytes]:
    """The files of a folder of the checkout, without what Python compiles."""
    paths = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(wheel, sdist)."""
    output = tmp_path_factory.mktemp("packages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return output / hatchling.build_wheel(str(output)), output / hatchling.build_sdist(str(output))


@pytest.fixture(scope="module")
def wheel(built: tuple[Path, Path]) -> dict[str, bytes]:
    with zipfile.ZipFile(built[0]) as archive:
        assert len(archive.namelist()) == len(set(archive.namelist()))
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, bytes]) -> Message:
    return HeaderParser().parsestr(wheel[f"{INFO}/METADATA"].decode())


def test_the_wheel_holds_the_package_and_the_descriptions_and_nothing_else(wheel: dict[str, bytes]) -> None:
    expected = files_below("ov_mobilenet")
    expected |= {f"ov_mobilenet/{name}": content for name, content in files_below("model_configs").items()}
    found = {name: content for name, content in wheel.items() if not name.startswith(f"{INFO}/")}
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert not [name for name in found if re.search(r"(^|/)(tests?|conftest|test_[^/]*|tools|demos)(/|\.py$)", name)]


def test_the_wheel_has_the_type_marker_the_licence_and_the_sample_model(wheel: dict[str, bytes]) -> None:
    assert {"ov_mobilenet/py.typed", f"{SAMPLE}/model.yml", f"{SAMPLE}/accuracy-check.yml"} < wheel.keys()
    assert {f"{SAMPLE}/road-signs.onnx", f"{SAMPLE}/labels.txt", f"{SAMPLE}/answers.json"} < wheel.keys()
    assert len([name for name in wheel if name.startswith(f"{SAMPLE}/samples/")]) == 12
    assert wheel[f"{INFO}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    described = {name.split("/")[2] for name in wheel if name.endswith("/model.yml")}
    assert described == {path.parent.name for path in ROOT.glob("model_configs/*/model.yml")} and len(described) >= 14


def test_the_record_of_the_wheel_is_complete_and_right(wheel: dict[str, bytes]) -> None:
    rows = list(csv.reader(io.StringIO(wheel[f"{INFO}/RECORD"].decode())))
    expected = [[f"{INFO}/RECORD", "", ""]]
    for name, content in wheel.items():
        if name != f"{INFO}/RECORD":
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            expected.append([name, f"sha256={digest}", str(len(content))])
    assert sorted(rows) == sorted(expected)


def test_the_sdist_holds_what_its_build_and_its_tests_need(built: tuple[Path, Path]) -> None:
    expected = {name for folder in SDIST_FOLDERS for name in files_below(folder)}
    expected |= {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "pyproject.toml", "mkdocs.yml"}
    expected |= {".gitignore", ".dockerignore", "PKG-INFO"}
    with tarfile.open(built[1]) as archive:
        members = archive.getmembers()
        assert all(member.isfile() for member in members)
        prefix = f"ov_mobilenet-{ov_mobilenet.__version__}/"
        assert sorted(member.name for member in members) == sorted(prefix + name for name in expected)


def test_one_version_is_in_the_metadata_the_package_and_the_changelog(metadata: Message) -> None:
    releases = re.findall(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert metadata["Version"] == ov_mobilenet.__version__ == releases[0]


def test_the_metadata_names_python_licence_and_extras(metadata: Message) -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.search(r"^\[project.optional-dependencies\]\n(.*?)^\[", project, re.M | re.S)
    assert listed is not None
    assert metadata["Name"] == "ov-mobilenet"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert sorted(metadata.get_all("Provides-Extra", [])) == sorted(re.findall(r"^(\w+) = \[", listed[1], re.M))
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {re.split(r"[<>=!~ ]", line)[0] for line in required} >= {"openvino", "numpy", "opencv-python", "pillow"}


def test_every_program_of_the_wheel_can_be_imported(wheel: dict[str, bytes]) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(wheel[f"{INFO}/entry_points.txt"].decode())
    programs = dict(parser["console_scripts"])
    assert programs.keys() == {"ov-mobilenet", "omz_downloader", "omz_converter", "omz_quantizer", "omz_info_dumper"}
    for target in programs.values():
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_the_text_for_pypi_has_no_link_to_a_file(metadata: Message) -> None:
    text = str(metadata.get_payload())
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert text.startswith("# ov-mobilenet\n") and "pip install" in text
    code = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.M | re.S)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert code.findall(text) == code.findall(readme), "commands and examples are unchanged"
    targets = re.findall(r"\]\(([^)\s]+)", code.sub("", text))
    assert [target for target in targets if not re.match(r"https?://|#", target)] == []
    assert re.findall(r"\]\((#[^)\s]+)", text) == re.findall(r"\]\((#[^)\s]+)", readme)
