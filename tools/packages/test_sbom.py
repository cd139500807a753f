"""The SBOM of the wheel's environment: conforming, complete, reproducible and free of this machine's paths."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from packages.conftest import EPOCH, Built
from packages.release_files import ALL_EXTRAS, ROOT, new_environment, version_of, write_sbom

DISTRIBUTIONS = """
import importlib.metadata as m, json
print(json.dumps({d.metadata["Name"]: d.version for d in m.distributions()}))
"""


@pytest.fixture(scope="module", params=["", "all"])
def python(request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sbom")
    yield new_environment(folder, built.wheel, ALL_EXTRAS if request.param else ())
    shutil.rmtree(folder)  # up to 1.5 GB


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_sbom_lists_what_is_installed_and_is_the_same_twice(python: Path, built: Built, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_sbom(python, built.wheel, tmp_path / name, EPOCH)  # validates against the schema of CycloneDX
    text = (tmp_path / "one").read_text("utf-8")
    assert text == (tmp_path / "two").read_text("utf-8")
    assert str(python.parents[2]) not in text and "file:" not in text
    sbom = json.loads(text)
    done = subprocess.run([python, "-c", DISTRIBUTIONS], check=True, capture_output=True, text=True)
    installed = {canonical(name): version for name, version in json.loads(done.stdout).items()}
    own = sbom["metadata"]["component"]
    assert (own["name"], own["version"]) == ("ov-mobilenet", version_of(built.wheel))
    assert own["version"] == installed.pop("ov-mobilenet")
    assert {canonical(one["name"]): one["version"] for one in sbom["components"]} == installed
    assert {one["purl"].partition("@")[0] for one in sbom["components"]} >= {"pkg:pypi/openvino", "pkg:pypi/numpy"}
    assert "serialNumber" not in sbom and sbom["metadata"]["timestamp"].startswith("2023-11-14T")
    (direct,) = [one["dependsOn"] for one in sbom["dependencies"] if one["ref"] == own["bom-ref"]]
    assert {"openvino", "numpy", "msgspec"} <= {canonical(ref.partition("==")[0]) for ref in direct}


def test_all_extras_but_torch_and_tensorflow_have_an_sbom() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.search(r'^all = \["ov-mobilenet\[([\w,]+)\]"\]', project, re.M)
    assert listed is not None
    assert set(listed[1].split(",")) == {*ALL_EXTRAS, "pytorch", "tensorflow"}
