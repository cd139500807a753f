"""When a changed file is loaded: once, and not while it is being written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ov_mobilenet.serving.models.watched_files import WatchedFiles, description_files, ir_files


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    xml, binary = ir_files(tmp_path / "m.xml")
    xml.write_text("<net/>")
    binary.write_bytes(b"weights")
    return xml, binary


def test_a_change_is_reported_once_after_the_files_have_come_to_rest(files: tuple[Path, Path]) -> None:
    xml, binary = files
    watched = WatchedFiles(files)
    assert not watched.poll()
    binary.write_bytes(b"new weights, first half")
    assert not watched.poll(), "it may still be written"
    binary.write_bytes(b"new weights, first half, second half")
    assert not watched.poll()
    xml.write_text("<net version='2'/>")
    assert not watched.poll()
    assert watched.poll()
    assert not watched.poll()


def test_a_file_of_the_same_size_and_time_that_replaces_another_is_a_change(files: tuple[Path, Path]) -> None:
    xml, _ = files
    watched = WatchedFiles(files)
    before = xml.stat()
    other = xml.with_name("other")
    other.write_text("<NET/>")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(xml)
    assert [watched.poll(), watched.poll(), watched.poll()] == [False, True, False]


def test_a_missing_file_is_waited_for(files: tuple[Path, Path]) -> None:
    xml, binary = files
    watched = WatchedFiles(files)
    binary.unlink()
    xml.write_text("<net version='2'/>")
    assert [watched.poll(), watched.poll()] == [False, False]
    binary.write_bytes(b"new")
    assert [watched.poll(), watched.poll()] == [False, True]


def test_files_that_are_not_watched_any_more_do_not_matter(files: tuple[Path, Path], tmp_path: Path) -> None:
    watched = WatchedFiles(files)
    description = tmp_path / "model.yml"
    description.write_text("a: 1")
    watched.watch([description])
    files[0].unlink()
    assert [watched.poll(), watched.poll()] == [False, False]
    description.write_text("a: 22")
    assert [watched.poll(), watched.poll()] == [False, True]


def test_the_files_that_a_model_names(tmp_path: Path) -> None:
    yml = tmp_path / "model.yml"
    assert description_files("a/m.xml") == (Path("a/m.xml"), Path("a/m.bin"))
    assert description_files(yml) == (yml,)
    (tmp_path / "accuracy-check.yml").touch()
    assert description_files(str(yml)) == (yml, tmp_path / "accuracy-check.yml")
    assert description_files("mobilenet-v2-pytorch") == description_files("hf:me/mine") == ()


def test_a_folder_is_watched_with_the_files_in_its_folders(tmp_path: Path) -> None:
    """A model's folder: a new version, the files in it one after the other, and the end of a version."""
    first, second = (tmp_path / version / "m.xml" for version in "12")
    first.parent.mkdir()
    first.write_text("<net/>")
    watched = WatchedFiles([tmp_path])

    def changes() -> None:
        assert [watched.poll(), watched.poll(), watched.poll()] == [False, True, False]

    second.parent.mkdir()
    assert [watched.poll(), watched.poll()] == [False, False], "an empty folder is no version"
    second.write_text("<net/>")
    changes()
    second.with_suffix(".bin").write_bytes(b"weights")
    changes()
    for path in (second, second.with_suffix(".bin")):
        path.unlink()
    second.parent.rmdir()
    changes()
    first.unlink()
    assert [watched.poll(), watched.poll()] == [False, False], "a folder without a model is waited for"
