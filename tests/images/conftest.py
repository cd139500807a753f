"""With and without `cykooz.resizer`, which has no wheels for some machines."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from ov_mobilenet.images import fast_resize


@pytest.fixture
def without_fast_resize(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package is not installed."""
    monkeypatch.setitem(sys.modules, "cykooz_resizer", None)
    fast_resize.resizer.cache_clear()
    assert fast_resize.resizer() is None
    yield
    fast_resize.resizer.cache_clear()


@pytest.fixture(params=["fast", "pillow"])
def each_resizer(request: pytest.FixtureRequest) -> None:
    """The test runs twice: with the package, if it is installed, and without it."""
    if request.param == "pillow":
        request.getfixturevalue("without_fast_resize")
    elif fast_resize.resizer() is None:
        pytest.skip("cykooz.resizer is not installed")
