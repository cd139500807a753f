"""The warning that INT8 will not be faster, on the processors of both architectures."""

from __future__ import annotations

import pytest

from ov_mobilenet.devices import machine
from ov_mobilenet.quantization.nncf_backend import device_warnings

X86 = {"AVX2": True, "AVX512": False, "VNNI": False, "AMX": False, "bf16": False, "f16": False}
ARM = {"int8 dot product": False, "i8mm": False, "bf16": False, "f16": True}


@pytest.mark.parametrize(
    ("flags", "warning"),
    [
        (X86, "neither VNNI nor AMX"),
        ({**X86, "VNNI": True}, None),
        (ARM, "neither int8 dot product nor i8mm"),
        ({**ARM, "int8 dot product": True}, None),
        (None, None),
    ],
)
def test_int8_is_slow_on_a_cpu_without_its_instructions(
    flags: dict[str, bool] | None, warning: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cpu_flags", lambda: flags)
    warnings = device_warnings("CPU")
    assert len(warnings) == (warning is not None)
    assert warning is None or warning in warnings[0]
