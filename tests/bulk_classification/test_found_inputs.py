"""Inputs of `bulk`: the same images as `classify` finds, in shards, in bounded memory; everything else is refused."""

from __future__ import annotations

import os
import re
import tracemalloc
from pathlib import Path

import pytest
from inputs.media import image, shard, video

from ov_mobilenet.bulk_classification.found_inputs import find_shards
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shard_items import read_items
from ov_mobilenet.bulk_classification.shards import Shard, parse_shard
from ov_mobilenet.errors import ImageError, OvMobilenetError, UsageError
from ov_mobilenet.inputs.open_inputs import open_inputs
from ov_mobilenet.runtime.items import Item


def found(*inputs: object, images_per_part: int = 2000) -> list[Shard]:
    """The shards, each as a worker gets it: from its line."""
    shards = list(find_shards([str(text) for text in inputs], BulkSettings(images_per_part=images_per_part)))
    assert [one.index for one in shards] == list(range(len(shards)))
    return [parse_shard(one.line()) for one in shards]


def content(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.source, repr(item.image)) for item in items]


def bulk_items(*inputs: object, images_per_part: int = 3) -> list[tuple[str, str]]:
    settings = BulkSettings(images_per_part=images_per_part)
    shards = found(*inputs, images_per_part=images_per_part)
    return content([item for one in shards for item in read_items(one, settings)])


def classify_items(*inputs: object) -> list[tuple[str, str]]:
    with open_inputs([str(text) for text in inputs]) as opened:
        return content(list(opened))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images in folders, links, a broken link, a named pipe, a folder with the name of an image, names not in UTF-8."""
    base = tmp_path / "images"
    for name in (
        "b.jpg",
        "a/z.PNG",
        "a-b/c.jpg",
        "a.jpg",
        "a/deep/x.webp",
        "notes.txt",
        "dir.jpg/in.jpg",
        ".hidden.jpg",
    ):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(image())
    (base / os.fsdecode(b"caf\xe9.jpg")).write_bytes(image())
    (base / "line\nfeed.jpg").write_bytes(image())
    (base / "gone.jpg").symlink_to("nowhere.jpg")
    (base / "loop").symlink_to("..")
    (base / "0link").symlink_to("a")
    os.mkfifo(base / "pipe.jpg")
    return base


def test_a_folder_gives_the_same_images_as_classify(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = classify_items(folder)
    assert len(expected) == 11
    assert sum("ImageError" in kind for _, kind in expected) == 2
    assert bulk_items(folder) == expected
    monkeypatch.chdir(folder)
    assert bulk_items(".", "./a", "a/") == classify_items(".", "./a", "a/")


def test_files_patterns_lists_and_shards_give_the_same_images_as_classify(folder: Path, tmp_path: Path) -> None:
    shard(tmp_path / "1.tar", {"x.jpg": image(1), "x.cls": b"1", "y.jpg": image(2)})
    shard(tmp_path / "2.tgz", {"x.jpg": image(1)}, "w:gz")
    (tmp_path / "3.tar").write_bytes(b"damaged")
    lines = [
        str(folder / "b.jpg"), "# comment", "", str(tmp_path / "1.tar"), str(folder / "a"), "missing.jpg",
        str(folder / "*.jpg"), "rtsp://user:secret@camera/1", "nul\0.jpg", "x" * 5000, "-", "@list",
    ]  # fmt: skip
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\n" + os.fsencode(folder) + b"/caf\xe9.jpg\n")
    inputs = (
        folder / "b.jpg", f"{folder}/*.jpg", f"{tmp_path}/?.t*", f"@{listed}", folder, tmp_path / "missing.jpg",
        tmp_path / "gone.tar", folder / "notes.txt",
    )  # fmt: skip
    expected = classify_items(*inputs)
    actual = bulk_items(*inputs)
    place = next(n for n, (source, _) in enumerate(expected) if "camera" in source)
    assert actual[place] == (
        "rtsp://***@camera/1",
        "ImageError('a list can only contain paths, and URLs that begin with s3:// or gs://')",
    )
    del expected[place], actual[place]
    assert actual == expected
    assert "secret" not in repr(actual)


def test_images_are_grouped_and_each_tar_is_a_shard(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in range(7)]
    for name in names:
        (tmp_path / name).write_bytes(image())
    tar = shard(tmp_path / "s.tar", {"x.jpg": image()})
    paths = [str(tmp_path / name) for name in names]
    shards = found(*paths[:4], tar, tar, *paths[4:], images_per_part=3)
    assert [(one.kind, one.paths, one.size, one.images) for one in shards] == [
        ("images", tuple(paths[:3]), None, 3),
        ("images", tuple(paths[3:4]), None, 1),
        ("tar", (str(tar),), tar.stat().st_size, None),
        ("tar", (str(tar),), tar.stat().st_size, None),
        ("images", tuple(paths[4:]), None, 3),
    ]
    assert len({one.digest for one in shards}) == 5
    assert [one.digest for one in found(*paths[:4], tar, tar, *paths[4:], images_per_part=3)] == [
        one.digest for one in shards
    ]


def test_a_tar_of_another_size_is_another_shard(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", {"x.jpg": image()})
    (before,) = found(path)
    shard(path, {"x.jpg": image(), "y.jpg": b"1" * 20_000})
    (after,) = found(path)
    assert before.digest != after.digest


@pytest.mark.parametrize(
    ("text", "got"),
    [("-", "stdin"), ("0", "a camera"), ("/dev/video3", "a camera"), ("rtsp://u:secret@h/1", "a network stream"),
     ("https://h/a.mp4?k=1", "a video"), ("video.avi", "a video"), ("@list.txt", "a video")],
)  # fmt: skip
def test_what_is_no_set_of_images_is_refused(
    text: str, got: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    video(tmp_path / "video.avi", 2)
    (tmp_path / "list.txt").write_text("video.avi\n")
    with pytest.raises(UsageError, match="ov-mobilenet classify") as caught:
        found(text)
    assert got in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://host/x", "unsupported URL scheme: expected s3 or gs, got ftp"),
        ("s3://user:secret@bucket/x", "a URL cannot contain a user name or password"),
        ("gs://secret@bucket/x", "a URL cannot contain a user name or password"),
        ("s3://bucket/x?secret_key=secret", "unknown option in a URL"),
        ("s3:///x", "the URL has no bucket"),
        ("s3://bucket/x?anonymous=maybe", "invalid option anonymous"),
        ("nothing/*.jpg", "no file matches the pattern"),
        ("photso", "photso: no such file or folder"),
        ("empty", "no images"),
        ("shards", "shards/.*there are none.*tar.gz files. Give these files: 'shards/.*tar.gz'"),
        ("columns", "columns/.*got .parquet files. Give these files: 'columns/.*parquet'"),
        ("@missing.txt", "missing.txt: the list cannot be read .No such file"),
        ("@empty", "the list cannot be read .Is a directory"),
        ("@long.txt", "not a list of paths"),
        ("@comments.txt", "no images"),
        ("@credentials.txt", "a URL cannot contain a user name or password"),
    ],
)  # fmt: skip
def test_errors_of_inputs_come_before_any_image(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "shards/deep").mkdir(parents=True)
    shard(tmp_path / "shards/deep/1.tar.gz", {"x.jpg": image()}, "w:gz")
    (tmp_path / "columns").mkdir()
    (tmp_path / "columns/1.parquet").write_bytes(b"")
    (tmp_path / "long.txt").write_bytes(b"x" * 70_000)
    (tmp_path / "comments.txt").write_text("# nothing\n\n")
    (tmp_path / "credentials.txt").write_text("s3://user:secret@bucket/1.jpg\n")
    with pytest.raises(OvMobilenetError, match=message) as caught:
        found(text)
    assert isinstance(caught.value, ImageError if text[:2] in ("@m", "@e", "@l") else UsageError)
    assert "secret" not in re.sub("secret_key", "", str(caught.value))


def test_no_inputs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no images: .* got nothing"):
        found()


def test_an_image_in_a_folder_with_shards_is_enough(tmp_path: Path) -> None:
    shard(tmp_path / "1.tar", {"x.jpg": image()})
    (tmp_path / "a.jpg").write_bytes(image())
    (only,) = found(tmp_path)
    assert only.paths == (str(tmp_path / "a.jpg"),)


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    peaks = []
    for count in (500, 4_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            os.mknod(folder / f"an_image_with_a_name_{number:08}.jpg")
        tracemalloc.start()
        assert sum(one.images or 0 for one in find_shards([str(folder)], BulkSettings())) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1_300_000, peaks  # all entries of a folder in one list: 4 MB
