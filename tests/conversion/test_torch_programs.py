"""A file in a network's name that is a torch program: it is refused, and torch never loads it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from ov_mobilenet.conversion.sources.frontend import convert_file
from ov_mobilenet.errors import ConversionError

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["net.onnx", "net.pb", "net.tflite"])
def test_a_torch_program_is_no_network(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)).save(str(tmp_path / name))

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("torch loads the file")

    monkeypatch.setattr(torch.jit, "load", refuse)
    monkeypatch.setattr(torch.export, "load", refuse)
    with pytest.raises(ConversionError, match="OpenVINO cannot read the network"):
        convert_file(tmp_path / name)
