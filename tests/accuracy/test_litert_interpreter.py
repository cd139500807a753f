"""LiteRT with a delegate that cannot build the graph: its own kernels run the network."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ov_mobilenet.accuracy.litert_interpreter import open_interpreter

interpreters = pytest.importorskip("ai_edge_litert.interpreter")

NETWORK = Path(__file__).resolve().parents[1] / "data" / "signs" / "road-signs.tflite"


def answer(interpreter: Any) -> np.ndarray:
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    values = np.random.default_rng(4).uniform(-1, 1, source["shape"]).astype(np.float32)
    interpreter.set_tensor(source["index"], values)
    interpreter.invoke()
    found: np.ndarray = interpreter.get_tensor(target["index"]).copy()
    return found


RealInterpreter: Any = interpreters.Interpreter


class WithoutXnnpack(RealInterpreter):  # type: ignore[misc]
    """An interpreter whose XNNPACK delegate refuses every graph."""

    def __init__(self, experimental_op_resolver_type: Any = interpreters.OpResolverType.AUTO, **options: Any) -> None:
        super().__init__(experimental_op_resolver_type=experimental_op_resolver_type, **options)
        self._has_delegate = experimental_op_resolver_type == interpreters.OpResolverType.AUTO

    def allocate_tensors(self) -> None:
        if self._has_delegate:
            raise RuntimeError("failed to create XNNPACK runtime\nNode number 122 failed to prepare.")
        super().allocate_tensors()


def test_a_network_that_xnnpack_refuses_runs_without_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        expected = answer(open_interpreter(NETWORK))
        assert not caplog.records
        monkeypatch.setattr(interpreters, "Interpreter", WithoutXnnpack)
        found = answer(open_interpreter(NETWORK))
    assert np.abs(found - expected).max() < 1e-5
    (message,) = caplog.messages
    assert "road-signs.tflite: LiteRT runs without its XNNPACK delegate" in message
    assert "(failed to create XNNPACK runtime Node number 122 failed to prepare.)" in message


def test_a_broken_network_fails_with_the_reason_of_litert(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(NETWORK.read_bytes()[:2000])
    with caplog.at_level(logging.WARNING), pytest.raises((ValueError, RuntimeError)):
        open_interpreter(broken)
    assert not caplog.records
