"""While a thread converts a file, OpenVINO does not try to load it as a torch program; other threads are unaffected."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from openvino.tools import ovc
from openvino.tools.ovc import convert_impl

from ov_mobilenet.conversion.sources.frontend import run_converter
from ov_mobilenet.errors import ConversionError

NAME = "get_pytorch_decoder_for_model_on_disk"


@pytest.mark.skipif(not hasattr(convert_impl, NAME), reason="this OpenVINO does not load files as torch programs")
def test_a_conversion_that_ends_does_not_affect_one_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()
    loads: dict[str, bool] = {}

    def own(*_: Any) -> bool:
        return True

    def convert_model(network: Path, **_: Any) -> None:
        if network.stem == "slow":
            begun.set()
            assert ended.wait(60)
        loads[network.stem] = getattr(convert_impl, NAME)(None, {})
        raise RuntimeError("no network")

    def convert(stem: str) -> None:
        with pytest.raises(ConversionError, match="no network"):
            run_converter(Path(f"{stem}.onnx"), Path(f"{stem}.onnx"))

    monkeypatch.setattr(convert_impl, NAME, own)
    monkeypatch.setattr(ovc, "convert_model", convert_model)
    slow = threading.Thread(target=convert, args=("slow",))
    slow.start()
    assert begun.wait(60)
    convert("fast")
    assert getattr(convert_impl, NAME)(None, {}) is True, "this thread converts nothing"
    ended.set()
    slow.join()
    assert loads == {"fast": False, "slow": False}
    assert getattr(convert_impl, NAME) is own
