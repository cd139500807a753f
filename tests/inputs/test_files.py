"""Files, folders, wildcards, lists and stdin."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from inputs.media import image, shard, video

from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.inputs.kinds import masked
from ov_mobilenet.inputs.opening import open_inputs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("p/b.jpg", "p/a.JPG", "p/deep/c.png", "p/notes.txt", "p/deep/er/d.bmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(image())
    return tmp_path


def names(texts: list[str], **options: object) -> list[str]:
    with open_inputs(texts, **options) as inputs:  # type: ignore[arg-type]
        return [item.source for item in inputs]


def test_a_folder_is_all_below_it_or_only_itself(folder: Path) -> None:
    assert names(["p"]) == ["p/a.JPG", "p/b.jpg", "p/deep/c.png", "p/deep/er/d.bmp"]
    assert names(["p"], recursive=False) == ["p/a.JPG", "p/b.jpg"]


def test_inputs_of_all_kinds_come_in_their_order(folder: Path) -> None:
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
    ("written", "read"),
    [
        (b"a.jpg\r\nb c.jpg \r\n", ["a.jpg", "b c.jpg "]),
        (b"\xef\xbb\xbfa.jpg\n\n# comment.jpg\n./#1.jpg", ["a.jpg", "./#1.jpg"]),
        (b"caf\xe9.jpg\n", [os.fsdecode(b"caf\xe9.jpg")]),
        (b"*.jpg\n-\n@x\n0\n", ["*.jpg", "-", "@x", "0"]),  # only the command line has more than paths
    ],
)
def test_a_list_is_a_path_a_line_from_the_working_directory(folder: Path, written: bytes, read: list[str]) -> None:
    (folder / "p/list.txt").write_bytes(written)
    assert names(["@p/list.txt"]) == read


def test_a_list_is_read_as_it_is_needed(folder: Path) -> None:
    class Endless(io.BytesIO):
        lines = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            Endless.lines += 1
            return b"%d.jpg\n" % Endless.lines

    with open_inputs("-", stdin=Endless()) as inputs:
        assert [item.source for item in islice(inputs, 3)] == ["1.jpg", "2.jpg", "3.jpg"]
    assert Endless.lines == 3


def test_a_list_that_is_none_is_one_failure_and_the_rest_is_done(folder: Path) -> None:
    (folder / "v.list").write_bytes(b"\0" * 100_000)
    with open_inputs(["@v.list", "@gone.txt", "p/b.jpg"]) as inputs:
        first, second, last = inputs
    assert (first.source, second.source, last.source) == ("v.list", "gone.txt", "p/b.jpg")
    assert "not a list of paths" in str(first.image)
    assert "No such file" in str(second.image)


def test_every_counts_all_images_and_limit_ends(folder: Path) -> None:
    (folder / "ten.txt").write_text("\n".join(f"{n}.jpg" for n in range(10)))
    assert names(["p/b.jpg", "@ten.txt"], every=3) == ["p/b.jpg", "2.jpg", "5.jpg", "8.jpg"]
    assert names(["p"], limit=2) == ["p/a.JPG", "p/b.jpg"]
    for options, count in (({}, 4), ({"every": 3}, 2), ({"limit": 3}, 3), ({"loop": True}, None)):
        assert open_inputs(["p"], **options).count == count  # type: ignore[arg-type]


def test_a_loop_goes_on_until_the_limit_or_until_nothing_can_be_read(folder: Path) -> None:
    assert names(["p/a.JPG", "p/b.jpg"], loop=True, limit=5) == ["p/a.JPG", "p/b.jpg"] * 2 + ["p/a.JPG"]
    assert names(["p/a.JPG"], loop=True, limit=3, every=2) == ["p/a.JPG"] * 3
    assert names(["gone.tar", "gone.avi"], loop=True) == ["gone.tar", "gone.avi"]


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        (["p/deep/none"], {"every": 0}, "bad every"),
        (["p"], {"limit": 0}, "bad limit"),
        (["p"], {"max_fps": 0.0}, "bad max_fps"),
        (["p"], {"max_fps": float("nan")}, "bad max_fps"),
        (["empty"], {}, "no images"),
        ([], {}, "no images"),
        (["0", "p"], {}, "0: a live source goes on for ever"),
        (["rtsp://u:pw@h/1", "1"], {}, r"rtsp://\*\*\*@h/1: a live source"),
        (["0"], {"loop": True}, "0: cannot be looped"),
        (["-"], {"loop": True}, "cannot be looped"),
        (["-", "-"], {}, "stdin can be read once"),
        (["ftp://u:pw@host/x.jpg"], {}, r"ftp://\*\*\*@host/x.jpg: no such stream: expected rtsp"),
        (["file:///etc/passwd"], {}, "no such stream"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_read(folder: Path, texts: list, options: dict, said: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(UsageError, match=said):
        open_inputs(texts, **options)


def test_an_empty_list_has_no_images(folder: Path) -> None:
    with pytest.raises(UsageError, match="no images"):
        names(["-"], stdin=io.BytesIO(b"\n\n"))


def test_a_number_is_a_file_where_there_is_one(folder: Path) -> None:
    (folder / "0").write_bytes(image())
    inputs = open_inputs("0")
    assert not inputs.live
    assert open_inputs("1").live
    assert [item.image for item in inputs] == ["0"]


def test_a_stream_in_a_list_is_refused_and_keeps_its_password(folder: Path) -> None:
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
    taken: Iterator = iter(inputs)
    next(taken)
    inputs.close()
    assert list(taken) == []
