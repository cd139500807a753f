from __future__ import annotations

import pytest

from ov_mobilenet.operating_system import systems


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Windows branches of the room run; the functions of the system are still those of Linux."""
    monkeypatch.setattr(systems, "WINDOWS", True)
    monkeypatch.setattr(systems, "LINUX", False)
