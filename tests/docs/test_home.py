"""README.md, the first pages, the reference and the explanations: every block runs and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_groups import HOME, runnable
from page_run import check_page

pytestmark = pytest.mark.pages


@pytest.mark.parametrize("page", runnable(HOME))
def test_a_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    check_page(page, tmp_path)
