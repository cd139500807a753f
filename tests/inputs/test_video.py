"""Videos: frame numbers and times against what the test wrote, and videos that are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from inputs.media import number_of, video

from ov_mobilenet.errors import ImageError
from ov_mobilenet.inputs.opening import open_inputs
from ov_mobilenet.runtime.items import Item


def frames(path: Path, **options: object) -> list[Item]:
    with open_inputs(path, **options) as inputs:  # type: ignore[arg-type]
        return list(inputs)


def numbers(items: list[Item]) -> list[int | None]:
    """The numbers that the items have, after comparing them with the pixels."""
    for item in items:
        assert isinstance(item.image, np.ndarray)
        assert item.frame == number_of(item.image)
        assert item.time_s == pytest.approx(item.frame / 25, abs=1e-3)
    return [item.frame for item in items]


def test_frames_keep_their_number_and_time(tmp_path: Path) -> None:
    items = frames(video(tmp_path / "v.avi", 50))
    assert numbers(items) == list(range(50))
    assert {item.source for item in items} == {str(tmp_path / "v.avi")}
    assert len({id(item.image) for item in items}) == 50  # none is written over by the next


def test_frames_are_left_out_by_number_and_by_time(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", 50)
    assert numbers(frames(path, every=7)) == list(range(0, 50, 7))
    assert numbers(frames(path, max_fps=5)) == list(range(0, 50, 5))
    assert numbers(frames(path, max_fps=25)) == list(range(50))
    assert len(frames(path, max_fps=10)) == 20
    assert numbers(frames(path, loop=True, limit=53)) == [*range(50), 0, 1, 2]


def test_a_video_that_ends_early_gives_what_there_is_and_one_failure(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", 50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *items, last = frames(path)
    assert 5 < len(items) < 40
    assert numbers(items) == list(range(len(items)))
    assert str(last.image) == f"the video ends early: expected 50 frames, got {len(items)}"
    assert last.frame is None


def test_frames_that_are_left_out_are_not_missed_at_the_end(tmp_path: Path) -> None:
    assert numbers(frames(video(tmp_path / "v.avi", 50), every=40)) == [0, 40]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.mp4", None, "No such file"),
        ("empty.mkv", b"", "the file is empty"),
        ("junk.mov", b"junk" * 1000, "damaged, or its codec is missing"),
        ("unknown.avi", "MJPG -> ZZZZ", "damaged, or its codec is missing"),
    ],
)
def test_what_is_no_video_is_one_failure(tmp_path: Path, name: str, content: bytes | str | None, said: str) -> None:
    path = tmp_path / name
    if isinstance(content, str):
        content = video(path).read_bytes().replace(b"MJPG", b"ZZZZ")
    if content is not None:
        path.write_bytes(content)
    (item,) = frames(path)
    assert item.source == str(path)
    assert isinstance(item.image, ImageError)
    assert said in str(item.image)


def test_a_video_whose_name_is_a_protocol_of_ffmpeg_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    video(tmp_path / "secret.avi", 3)
    video(tmp_path / "concat:secret.avi", 2)
    assert len(list(open_inputs("concat:secret.avi"))) == 2
