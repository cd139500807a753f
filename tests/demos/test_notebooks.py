"""All cells of the notebooks run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from running import DEMOS, ROOT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

pytestmark = pytest.mark.pages

# What the cells print, and the packages that they need besides those that are always there.
NOTEBOOKS: dict[str, tuple[list[str], list[str]]] = {
    "quickstart": (
        [
            "end_of_limits_01.jpg: end of limits, 100.0%",
            "True",
            "images per second end to end",
            "'inference': (",
            "FP16/mobilenet-v1-0.25-128-signs.xml",
        ],
        [],
    ),
    "diagnosis": (
        [
            "baked: 0..1 RGB, wrong: True",
            "best: tensorflow RGB",
            "--preset tensorflow",
            "stop_red_01: end of limits -> stop red",
            "baked: tensorflow RGB, wrong: False",
        ],
        [],
    ),
    "serving": (
        [
            "('http://127.0.0.1', True, True)",
            "'label': 'stop red'",
            "{'ready': True}",
            ":2:stop red'",
            "(240, True)",
            'ov_mobilenet_model_ready{model="signs",version="1"} 1.0',
        ],
        ["starlette", "tritonclient"],
    ),
}


def test_every_notebook_is_tested() -> None:
    assert {path.stem for path in DEMOS.glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_has_ten_cells_without_stored_outputs(name: str) -> None:
    cells = [cell for cell in nbformat.read(DEMOS / f"{name}.ipynb", 4).cells if cell.cell_type == "code"]
    assert len(cells) == 10
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.filterwarnings("ignore")  # warnings of the Jupyter packages
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_all_cells_run_print_the_expected_results_and_leave_no_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, packages = NOTEBOOKS[name]
    for package in packages:
        pytest.importorskip(package)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no network beyond this machine
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for folder in ("tmp", "work"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    notebook = nbformat.read(DEMOS / f"{name}.ipynb", 4)
    client = nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path / "work")}})
    client.execute()
    printed = "".join(
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    for text in expected:
        assert text in printed
    assert list((tmp_path / "work").iterdir()) == []
    assert [path for path in (tmp_path / "tmp").rglob("*") if path.suffix in (".xml", ".bin", ".onnx")] == []
