"""Image files, folders, wildcards, lists of paths, and stdin."""

from __future__ import annotations

import io
import os
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from inputs.media import image, shard, video

from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.inputs.open_inputs import open_inputs
from ov_mobilenet.inputs.sources import masked


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("p/b.jpg", "p/a.JPG", "p/deep/c.png", "p/notes.txt", "p/deep/er/d.bmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(image())
    return tmp_path


def names(texts: list[str], **options: Any) -> list[str]:
    with open_inputs(texts, **options) as inputs:
        return [item.source for item in inputs]


def test_a_folder_includes_its_subfolders_unless_not_recursive(folder: Path) -> None:
    assert names(["p"]) == ["p/a.JPG", "p/b.jpg", "p/deep/c.png", "p/deep/er/d.bmp"]
    assert names(["p"], recursive=False) == ["p/a.JPG", "p/b.jpg"]


def test_inputs_of_all_kinds_are_read_in_order(folder: Path) -> None:
    video(folder / "v.avi", 2)
    shard(folder / "s.tar", {"x.jpg": image(), "x.json": b"{}"})
    (folder / "list.txt").write_text("p/deep\nv.avi\n")
    mixed = ["p/b.jpg", "v.avi", "*.tar", "@list.txt", "gone.jpg", "p/notes.txt", "-"]
    with open_inputs(mixed, stdin=io.BytesIO(b"p/a.JPG\n")) as inputs:
        assert inputs.count is None
        assert not inputs.live
        assert [item.source for item in inputs] == [
            "p/b.jpg", "v.avi", "v.avi", "s.tar/x.jpg", "p/deep/c.png", "p/deep/er/d.bmp", "v.avi", "v.avi",
            "gone.jpg", "p/notes.txt", "p/a.JPG",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "paths"),
    [
        (b"a.jpg\r\nb c.jpg \r\n", ["a.jpg", "b c.jpg "]),
        (b"\xef\xbb\xbfa.jpg\n\n# comment.jpg\n./#1.jpg", ["a.jpg", "./#1.jpg"]),
        (b"caf\xe9.jpg\n", [os.fsdecode(b"caf\xe9.jpg")]),
        (b"*.jpg\n-\n@x\n0\n", ["*.jpg", "-", "@x", "0"]),  # in a list these are file names
    ],
)
def test_a_list_has_one_path_per_line_relative_to_the_working_directory(
    folder: Path, content: bytes, paths: list[str]
) -> None:
    (folder / "p/list.txt").write_bytes(content)
    assert names(["@p/list.txt"]) == paths


def test_a_list_is_read_lazily(folder: Path) -> None:
    class Endless(io.BytesIO):
        lines = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            Endless.lines += 1
            return b"%d.jpg\n" % Endless.lines

    with open_inputs("-", stdin=Endless()) as inputs:
        assert [item.source for item in islice(inputs, 3)] == ["1.jpg", "2.jpg", "3.jpg"]
    assert Endless.lines == 3


def test_an_invalid_list_is_one_failure_and_the_other_inputs_are_read(folder: Path) -> None:
    (folder / "v.list").write_bytes(b"\0" * 100_000)
    with open_inputs(["@v.list", "@gone.txt", "p/b.jpg"]) as inputs:
        first, second, last = inputs
    assert (first.source, second.source, last.source) == ("v.list", "gone.txt", "p/b.jpg")
    assert "not a list of paths" in str(first.image)
    assert "No such file" in str(second.image)


def test_every_counts_the_images_of_all_inputs_and_limit_ends_them(folder: Path) -> None:
    (folder / "ten.txt").write_text("\n".join(f"{n}.jpg" for n in range(10)))
    assert names(["p/b.jpg", "@ten.txt"], every=3) == ["p/b.jpg", "2.jpg", "5.jpg", "8.jpg"]
    assert names(["p"], limit=2) == ["p/a.JPG", "p/b.jpg"]
    counts: list[tuple[dict[str, Any], int | None]] = [
        ({}, 4),
        ({"every": 3}, 2),
        ({"limit": 3}, 3),
        ({"loop": True}, None),
    ]
    for options, count in counts:
        assert open_inputs(["p"], **options).count == count


def test_a_loop_ends_at_the_limit_or_after_a_round_without_readable_images(folder: Path) -> None:
    assert names(["p/a.JPG", "p/b.jpg"], loop=True, limit=5) == ["p/a.JPG", "p/b.jpg"] * 2 + ["p/a.JPG"]
    assert names(["p/a.JPG"], loop=True, limit=3, every=2) == ["p/a.JPG"] * 3
    assert names(["gone.tar", "gone.avi"], loop=True) == ["gone.tar", "gone.avi"]


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (["p/deep/none"], {"every": 0}, "invalid every"),
        (["p"], {"limit": 0}, "invalid limit"),
        (["p"], {"max_fps": 0.0}, "invalid max_fps"),
        (["p"], {"max_fps": float("nan")}, "invalid max_fps"),
        (["empty"], {}, "no images"),
        ([], {}, "no images"),
        (["0", "p"], {}, "0: a live source never ends"),
        (["rtsp://u:pw@h/1", "1"], {}, r"rtsp://\*\*\*@h/1: a live source"),
        (["0"], {"loop": True}, "0: cannot be looped"),
        (["-"], {"loop": True}, "cannot be looped"),
        (["-", "-"], {}, "stdin can only be read once"),
        (["ftp://u:pw@host/x.jpg"], {}, r"ftp://\*\*\*@host/x.jpg: unsupported URL scheme: expected rtsp"),
        (["file:///etc/passwd"], {}, "unsupported URL scheme"),
    ],
)
def test_usage_errors_are_raised_before_anything_is_read(
    folder: Path, texts: list[str], options: dict[str, Any], message: str
) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(UsageError, match=message):
        open_inputs(texts, **options)


def test_an_empty_list_is_a_usage_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="no images"):
        names(["-"], stdin=io.BytesIO(b"\n\n"))


def test_a_number_is_a_file_if_one_has_that_name(folder: Path) -> None:
    (folder / "0").write_bytes(image())
    inputs = open_inputs("0")
    assert not inputs.live
    assert open_inputs("1").live
    assert [item.image for item in inputs] == ["0"]


def test_a_stream_in_a_list_is_refused_without_showing_its_password(folder: Path) -> None:
    (item,) = open_inputs("-", stdin=io.BytesIO(b"rtsp://me:secret@camera/1\n"))
    assert isinstance(item.image, ImageError)
    assert item.source == "rtsp://***@camera/1"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:secret@cam:554/x?y=1", "rtsp://***@cam:554/x?y=1"),
        ("http://me:p@ss@cam/a@b", "http://***@cam/a@b"),
        ("rtsps://me@cam", "rtsps://***@cam"),
        ("http://cam/x@y", "http://cam/x@y"),
        ("a@b.jpg", "a@b.jpg"),
    ],
)
def test_credentials_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_closing_ends_the_iteration(folder: Path) -> None:
    inputs = open_inputs(["p"], loop=True)
    items = iter(inputs)
    next(items)
    inputs.close()
    assert list(items) == []
