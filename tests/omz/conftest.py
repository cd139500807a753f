from __future__ import annotations

import os
from pathlib import Path

import pytest

MO = Path(os.environ.get("OV_MOBILENET_TEST_MO") or Path(__file__).resolve().parents[2] / ".venv-omz" / "bin" / "mo")


@pytest.fixture(scope="session")
def mo() -> Path:
    """The real Model Optimizer; `make test-omz` installs it."""
    if not MO.is_file():
        pytest.skip("needs the classic Model Optimizer: make test-omz")
    return MO
