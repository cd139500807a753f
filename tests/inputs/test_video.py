"""Videos: frame numbers and times compared with the pixels, and damaged videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inputs.media import frame_number, video

from ov_mobilenet.errors import ImageError
from ov_mobilenet.inputs.open_inputs import open_inputs
from ov_mobilenet.runtime.items import Item


def frames(path: Path, **options: Any) -> list[Item]:
    with open_inputs(path, **options) as inputs:
        return list(inputs)


def numbers(items: list[Item]) -> list[int | None]:
    """The frame numbers of the items, which must agree with the pixels."""
    for item in items:
        assert isinstance(item.image, np.ndarray)
        assert item.frame is not None
        assert item.frame == frame_number(item.image)
        assert item.time_s == pytest.approx(item.frame / 25, abs=1e-3)
    return [item.frame for item in items]


def test_frames_have_their_number_and_time(tmp_path: Path) -> None:
    items = frames(video(tmp_path / "v.avi", 50))
    assert numbers(items) == list(range(50))
    assert {item.source for item in items} == {str(tmp_path / "v.avi")}
    assert len({id(item.image) for item in items}) == 50  # none is overwritten by the next


def test_frames_are_sampled_by_number_and_by_time(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", 50)
    assert numbers(frames(path, every=7)) == list(range(0, 50, 7))
    assert numbers(frames(path, max_fps=5)) == list(range(0, 50, 5))
    assert numbers(frames(path, max_fps=25)) == list(range(50))
    assert len(frames(path, max_fps=10)) == 20
    assert numbers(frames(path, loop=True, limit=53)) == [*range(50), 0, 1, 2]


def test_a_video_that_ends_early_gives_its_frames_and_one_failure(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", 50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *items, last = frames(path)
    assert 5 < len(items) < 40
    assert numbers(items) == list(range(len(items)))
    assert str(last.image) == f"the video ends early: expected 50 frames, got {len(items)}"
    assert last.frame is None


def test_skipped_frames_at_the_end_do_not_count_as_missing(tmp_path: Path) -> None:
    assert numbers(frames(video(tmp_path / "v.avi", 50), every=40)) == [0, 40]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.mp4", None, "No such file"),
        ("empty.mkv", b"", "the file is empty"),
        ("junk.mov", b"junk" * 1000, "the file is damaged, or its codec is not supported"),
        ("unknown.avi", "MJPG -> ZZZZ", "the file is damaged, or its codec is not supported"),
    ],
)
def test_a_file_that_is_not_a_video_is_one_failure(
    tmp_path: Path, name: str, content: bytes | str | None, message: str
) -> None:
    path = tmp_path / name
    if isinstance(content, str):
        content = video(path).read_bytes().replace(b"MJPG", b"ZZZZ")
    if content is not None:
        path.write_bytes(content)
    (item,) = frames(path)
    assert item.source == str(path)
    assert isinstance(item.image, ImageError)
    assert message in str(item.image)


def test_a_file_name_is_not_taken_for_an_ffmpeg_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    video(tmp_path / "secret.avi", 3)
    video(tmp_path / "concat:secret.avi", 2)
    assert len(list(open_inputs("concat:secret.avi"))) == 2
