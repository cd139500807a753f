"""IRs of unknown origin on systems that refuse new processes."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest

from ov_mobilenet.errors import IrError
from ov_mobilenet.ir.files import read_ir
from ov_mobilenet.ir.trial_reading import Isolation
from ov_mobilenet.isolation import isolated_function
from ov_mobilenet.isolation.availability import can_isolate

pytestmark = pytest.mark.skipif(not can_isolate(), reason="needs a system that can fork")


@pytest.fixture
def xml(tmp_path: Path) -> Path:
    frame = ops.parameter([1, 3, 8, 8], np.float32, name="frame")
    ov.save_model(ov.Model([ops.reduce_mean(frame, np.array([2, 3]))], [frame], "means"), tmp_path / "means.xml")
    return tmp_path / "means.xml"


def refuse(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_an_ir_is_read_by_a_new_process_where_this_one_cannot_be_copied(
    xml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fork", refuse)
    assert read_ir(xml, Isolation(cache_root=tmp_path / "cache")).inputs[0].shape == [1, 3, 8, 8]
    assert len(list((tmp_path / "cache/accepted").iterdir())) == 1


def test_where_no_process_can_be_started_one_message_tells_how_to_go_on(
    xml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fork", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    isolated_function._server.cache_clear()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(IrError, match="no process can be started to read the IR .*--no-isolate"):
        read_ir(xml, Isolation(cache_root=tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()
    assert list((tmp_path / "temporary").iterdir()) == []
    assert read_ir(xml, Isolation(isolate=False)).inputs[0].shape == [1, 3, 8, 8]
