"""FP32 pixels in JSON, written as 12.0; the expected numbers are those of Python's parser."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ov_mobilenet.serving.protocol.messages import InputTensor
from ov_mobilenet.serving.request_errors import RequestError
from ov_mobilenet.serving.rest import json_elements, json_pixels
from ov_mobilenet.serving.rest.json_elements import fp32_elements


@pytest.mark.parametrize("nested", [False, True])
def test_whole_numbers_need_no_parser(monkeypatch: pytest.MonkeyPatch, nested: bool) -> None:
    """A parser takes three times as long."""
    sent = np.random.default_rng(7).integers(0, 256, (1, 90, 91, 3)).astype(np.float32)
    monkeypatch.setattr(json_elements, "_numbers", None)
    text = json.dumps((sent if nested else sent.reshape(-1)).tolist()).encode()
    np.testing.assert_array_equal(
        np.frombuffer(fp32_elements(text, InputTensor("x", "FP32", sent.shape)), "<f4"), sent.reshape(-1)
    )


@pytest.mark.parametrize(
    "spelling",
    [
        "1.5", "1.00", "1.05", "01.0", ".0", "1.", "1.0e1", "1.0E0", "1.0.0", "0.0.0.0", "0.", "256.0", "-1.0", "+1.0",
        "1.0.", "..0", "1.0]", "[1.0", "1.0,2.0", "null", "1 .0", "1. 0", " \n2.0\t", "", "1.0\x01", "\x0b1.0",
    ],
)  # fmt: skip
def test_other_numbers_are_those_of_a_parser(monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    """Read in parts of some characters, so that the spelling is also at the start and at the end of one."""
    monkeypatch.setattr(json_pixels, "_CHUNK", 5)
    tensor = InputTensor("x", "FP32", (1, 1, 1, 3))
    for at in range(3):
        numbers = ["12.0", "255.0", "7.0"]
        numbers[at] = spelling
        text = f"[{','.join(numbers)}]"
        try:
            expected = json.loads(text)
        except ValueError:
            expected = []
        if len(expected) == 3 and None not in expected:
            read = np.frombuffer(fp32_elements(text.encode(), tensor), "<f4")
            np.testing.assert_array_equal(read, np.array(expected, np.float32))
        else:
            with pytest.raises(RequestError):
                fp32_elements(text.encode(), tensor)
