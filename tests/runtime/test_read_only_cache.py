"""`load_classifier` where the cache of converted models cannot be written, as in a container without a volume."""

from __future__ import annotations

from pathlib import Path

import pytest

from ov_mobilenet import load_classifier
from ov_mobilenet.errors import DownloadError


def test_a_cache_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    # A file in place of a folder, which is an error for root as well, unlike a read-only folder.
    (tmp_path / "ir").write_text("no folder")
    with pytest.raises(
        DownloadError,
        match=r"ir.*: the cache of converted models cannot be written: got .*\. .*--cache-dir.*a volume",
    ) as error:
        load_classifier("mobilenet-v1-0.25-128-signs", device="CPU", cache_dir=tmp_path)
    assert error.value.exit_code == 1
