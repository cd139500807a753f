"""Pillow's warnings are hidden while images are decoded in threads; those of the program are not."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import pytest
from PIL import Image

from ov_mobilenet.images.load_image import load_image
from ov_mobilenet.images.pillow_warnings import without_pillow_warnings
from ov_mobilenet.zoo.geometry import parse_geometry


def test_blocks_that_overlap_in_threads_leave_the_filters_as_they_were() -> None:
    """As two threads that decode: the first one ends while the second one is inside."""
    entered, leave = threading.Event(), threading.Event()

    def second() -> None:
        with without_pillow_warnings():
            entered.set()
            leave.wait(60)

    before = list(warnings.filters)
    thread = threading.Thread(target=second)
    with without_pillow_warnings():
        thread.start()
        assert entered.wait(60)
        with pytest.warns(UserWarning, match="of the program"):
            warnings.warn("of the program", stacklevel=1)
    warnings.warn_explicit("large", Image.DecompressionBombWarning, "Image.py", 1, module="PIL.Image")
    leave.set()
    thread.join()
    assert list(warnings.filters) == before
    with pytest.warns(Image.DecompressionBombWarning):
        warnings.warn_explicit("large", Image.DecompressionBombWarning, "Image.py", 1, module="PIL.Image")


@pytest.mark.parametrize("geometry", ["crop 0.875, resize 8", "resize 8 pillow", "resize 16 greater pillow, crop 8"])
def test_a_large_image_gives_no_warning(geometry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are errors in this test run."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    for name in ("a.jpg", "a.png", "a.gif"):
        Image.new("RGB", (70, 60)).save(tmp_path / name)
        for mode in ("exact", "auto", "fast"):
            assert load_image(tmp_path / name, parse_geometry(geometry), mode).frame.shape == (8, 8, 3)
