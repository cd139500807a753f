"""The notebook runs from its first cell to its last."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from running import DEMOS, ROOT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
NOTEBOOK = DEMOS / "quickstart.ipynb"


def test_ten_cells_without_results_of_somebody_elses_machine() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert len(cells) == 10
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.filterwarnings("ignore")  # of the Jupyter packages
def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no network
    notebook = nbformat.read(NOTEBOOK, 4)
    client = nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    said = "".join(
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert "end_of_limits_01.jpg: end of limits, 100.0%" in said
    assert "\nTrue" in said or "True" in said.split()
    assert "images per second from the file to the classes" in said
    assert "'inference': (" in said
    assert (tmp_path / "quickstart" / "FP16" / "mobilenet-v1-0.25-128-signs.xml").is_file()
