from __future__ import annotations

import os
from pathlib import Path

import pytest

# OpenVINO's telemetry sends nothing where this is set; it would fork a process for each message.
os.environ.setdefault("CI", "true")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real weights and pictures beside the checkout."""
    if not (SHARED / "zoo").is_dir():
        pytest.skip("needs the real weights and pictures in ../shared")
    return SHARED


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "user-cache"))
