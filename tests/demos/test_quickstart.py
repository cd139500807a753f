"""All cells of the quickstart notebook run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from running import DEMOS, ROOT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
NOTEBOOK = DEMOS / "quickstart.ipynb"


def test_it_has_ten_cells_without_stored_outputs() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert len(cells) == 10
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.filterwarnings("ignore")  # warnings of the Jupyter packages
def test_all_cells_run_print_the_expected_results_and_leave_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no network
    for folder in ("tmp", "work"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    notebook = nbformat.read(NOTEBOOK, 4)
    client = nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path / "work")}})
    client.execute()
    printed = "".join(
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert "end_of_limits_01.jpg: end of limits, 100.0%" in printed
    assert "True" in printed
    assert "images per second end to end" in printed
    assert "'inference': (" in printed
    assert "FP16/mobilenet-v1-0.25-128-signs.xml" in printed
    assert list((tmp_path / "work").iterdir()) == []
    assert [path for path in (tmp_path / "tmp").rglob("*") if path.suffix in (".xml", ".bin", ".onnx")] == []
