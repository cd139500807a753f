"""`info --format json` against `omz_info_dumper` itself, the Open Model Zoo's own program, on its own descriptions."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ov_mobilenet.cli.main import main
from ov_mobilenet.zoo.registry import model_names

pytestmark = pytest.mark.omz

ROOT = Path(__file__).resolve().parents[2]
FAMILY = (
    "mobilenet-v1-0.25-128",
    "mobilenet-v1-1.0-224-tf",
    "mobilenet-v2-1.0-224",
    "mobilenet-v2-1.4-224",
    "mobilenet-v2-pytorch",
    "mobilenet-v3-small-1.0-224-tf",
    "mobilenet-v3-large-1.0-224-tf",
)
# Texts and paths, which may differ; all other fields must be equal.
OWN = {"description", "accuracy_config", "model_config"}


@pytest.fixture(scope="module")
def dumped() -> dict[str, dict[str, Any]]:
    """The output of the program for the family, by model name."""
    program = Path(os.environ.get("OMZ_INFO_DUMPER", ROOT / ".venv-omz" / "bin" / "omz_info_dumper"))
    if not program.is_file():
        pytest.skip("needs omz_info_dumper of openvino-dev 2024.6.0 in .venv-omz, or OMZ_INFO_DUMPER")
    done = subprocess.run([program, "--name", ",".join(FAMILY)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    models = {model["name"]: model for model in json.loads(done.stdout)}
    assert set(models) == set(FAMILY)
    return models


def info(model: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["info", model, "--format", "json"]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


@pytest.mark.parametrize("name", FAMILY)
def test_open_model_zoo_descriptions_give_equal_fields(
    name: str, dumped: dict[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = dumped[name]
    ours = info(theirs["model_config"], capsys)
    assert {field: ours.get(field, "missing") for field in theirs} == theirs


@pytest.mark.parametrize("name", FAMILY)
def test_our_descriptions_give_the_same_facts(
    name: str, dumped: dict[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    if name not in model_names():
        pytest.skip("not among our models")
    ours, theirs = info(name, capsys), dumped[name]
    assert set(theirs) <= set(ours)
    # We read the Keras weights directly; the Open Model Zoo converts them to a TensorFlow model with a script.
    assert ours["framework"] == ("keras" if "-v3-" in name else theirs["framework"])
    facts = set(theirs) - OWN - {"framework"}
    assert {field: ours[field] for field in facts} == {field: theirs[field] for field in facts}
