from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# OpenVINO's telemetry sends nothing where this is set; it would fork a process for each message.
os.environ.setdefault("CI", "true")

# The same examples at every run, so that a gate does not open or close by chance; HYPOTHESIS_PROFILE=default searches.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

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
