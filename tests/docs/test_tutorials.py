"""The tutorials: every block runs and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_groups import TUTORIALS, runnable
from page_run import check_page

pytestmark = pytest.mark.pages


@pytest.mark.parametrize("page", runnable(TUTORIALS))
def test_a_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    check_page(page, tmp_path)
