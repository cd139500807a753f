"""The answers of the libraries to the `REQUESTS` of a test module."""

from __future__ import annotations

import pytest
from hub_repositories import Answered, answer


@pytest.fixture(scope="module")
def answered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answered]:
    pytest.importorskip("torch")
    pytest.importorskip("huggingface_hub")
    return answer(request.module.REQUESTS, tmp_path_factory.mktemp("repositories"))
