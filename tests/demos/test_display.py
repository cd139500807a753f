"""What the window shows, without a display: OpenCV's window functions are replaced."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from display import Window
from numpy.typing import NDArray


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.uint8]]:
    """The frames given to `imshow`, scaled to the size of the window, as a screen shows them."""
    shown: list[NDArray[np.uint8]] = []
    size = [(0, 0)]

    def imshow(title: str, frame: NDArray[np.uint8]) -> None:
        shown.append(np.asarray(cv2.resize(frame, size[0]), np.uint8))

    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "resizeWindow", lambda _, width, height: size.__setitem__(0, (width, height)))
    monkeypatch.setattr(cv2, "imshow", imshow)
    monkeypatch.setattr(cv2, "waitKey", lambda _: -1)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
    return shown


def with_circle(width: int, height: int) -> NDArray[np.uint8]:
    frame = np.full((height, width, 3), 60, np.uint8)
    cv2.circle(frame, (width // 2, height // 2), min(width, height) // 4, (255, 255, 255), cv2.FILLED)
    return frame


@pytest.mark.parametrize("first", [(640, 480), (300, 500), (1920, 1080)])
@pytest.mark.parametrize("other", [(480, 640), (200, 200), (4000, 500), (160, 120)])
def test_images_of_other_sizes_are_not_stretched(
    first: tuple[int, int], other: tuple[int, int], screen: list[NDArray[np.uint8]]
) -> None:
    window = Window("test")
    window.show(with_circle(*first))
    window.show(with_circle(*other))
    window.show(with_circle(*first))
    for (width, height), shown in zip((first, other, first), screen, strict=True):
        rows = np.flatnonzero((shown.min(axis=2) > 200).any(axis=1))
        columns = np.flatnonzero((shown.min(axis=2) > 200).any(axis=0))
        assert np.ptp(rows) / np.ptp(columns) == pytest.approx(1, abs=0.05)
        image = shown.max(axis=2) > 30  # the rest is the black border
        seen = image.any(axis=0).sum() / image.any(axis=1).sum()
        assert seen == pytest.approx(width / height, rel=0.03)
