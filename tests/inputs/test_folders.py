"""What lies in a folder and cannot be read is named: it has a result with an error, or a warning; never nothing."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from inputs.media import image
from known_network import Known

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import ImageError
from ov_mobilenet.inputs.open_inputs import open_inputs
from ov_mobilenet.operating_system import open_file


def problems(folder: Path, **options: Any) -> dict[str, str]:
    """The images of a folder by their path in it, with the error that each one gives; an empty text for none."""
    with open_inputs(folder, **options) as inputs:
        items = list(inputs)
        assert inputs.count == len(items)
    return {
        os.path.relpath(item.source, folder): str(item.image) if isinstance(item.image, ImageError) else ""
        for item in items
    }


@pytest.fixture(autouse=True)
def default_log_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "ov_mobilenet")  # a command with -q changes it


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "locked/b.png", "open/c.png"):
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_bytes(image())
    return tmp_path / "f"


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders named `locked` cannot be listed; permissions do not bind root."""
    scandir = os.scandir

    def refuse(path: Any = ".") -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_a_folder_that_cannot_be_read_is_a_failure(
    folder: Path, locked: None, known: Known, capsys: pytest.CaptureFixture[str]
) -> None:
    assert problems(folder) == {
        "a.png": "",
        "locked": "the folder cannot be read (Permission denied)",
        "open/c.png": "",
    }
    assert main(["classify", str(known.xml), str(folder), "--format", "jsonl", "-q"]) == 1
    out, err = capsys.readouterr()
    assert [Path(json.loads(line)["source"]).name for line in out.splitlines()] == ["a.png", "locked", "c.png"]
    assert f"{folder}/locked: the folder cannot be read (Permission denied)" in err
    assert problems(folder / "locked") == {".": "the folder cannot be read (Permission denied)"}


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_permissions_of_the_system(folder: Path) -> None:
    (folder / "locked").chmod(0)
    try:
        assert problems(folder)["locked"] == "the folder cannot be read (Permission denied)"
    finally:
        (folder / "locked").chmod(0o700)


def test_what_is_not_a_file_is_a_failure_if_its_name_is_that_of_an_image(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe")  # not the name of an image
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "drive").symlink_to("/nowhere/drive")
    (folder / "null.bmp").symlink_to("/dev/null")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "notes.txt").write_text("notes")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(folder / "socket.png"))  # a path has at most 108 bytes
        found = problems(folder)
    assert found.pop("loop.png").startswith("cannot be read (Too many levels of symbolic links")
    assert found == {
        "a.png": "", "locked/b.png": "", "open/c.png": "", "gone.jpg": "the link is broken",
        "null.bmp": "not a file, but a device", "pipe.png": "not a file, but a named pipe",
        "socket.png": "not a file, but a socket",
    }  # fmt: skip
    assert f"{folder}/drive: the link is broken" in caplog.text


def test_links_to_folders_are_followed_once(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/deep/d.png").write_bytes(image())
    (tmp_path / "elsewhere/back").symlink_to(folder)
    (folder / "0").symlink_to(tmp_path / "elsewhere")
    (folder / "up").symlink_to("..")
    (folder / "same").symlink_to("open")
    (folder / "e.png").symlink_to(tmp_path / "elsewhere/deep/d.png")
    assert problems(folder) == dict.fromkeys(["a.png", "locked/b.png", "open/c.png", "0/deep/d.png", "e.png"], "")
    for link in ("0/back", "same"):
        assert f"{folder}/{link}: the link is not followed: its folder is read already" in caplog.text
    assert set(problems(folder, recursive=False)) == {"a.png", "e.png"}


def test_a_deep_maze_of_links_is_read_in_linear_time(tmp_path: Path) -> None:
    """Two links to the next folder in each of 40: there are a trillion paths."""
    for number in range(40):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}/image.png").write_bytes(b"")
        for name in ("x", "y"):
            (tmp_path / f"{number}" / name).symlink_to(f"../{number + 1}")
    assert len(problems(tmp_path / "0")) == 40


def test_accuracy_names_what_it_cannot_read(
    known: Known, tmp_path: Path, locked: None, caplog: pytest.LogCaptureFixture
) -> None:
    right = int(known.answers[0].argmax())
    for name in (str(right), "1" if right != 1 else "2"):
        (tmp_path / name / "locked").mkdir(parents=True)
        (tmp_path / name / "a.png").write_bytes(known.files[0].read_bytes())
    (tmp_path / str(right) / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / str(right) / "pipe.png")
    (tmp_path / "3-on-a-drive").symlink_to("/nowhere/3")
    report = ovm.measure_accuracy(known.xml, tmp_path)
    assert (report.images, report.failed, report.top1) == (2, 4, 0.5)
    assert sorted(failure.source.partition("/")[2] for failure in report.failures) == [
        "gone.png", "locked", "locked", "pipe.png",
    ]  # fmt: skip
    assert "3-on-a-drive: the link is broken" in caplog.text
    comparison = ovm.compare([str(known.xml), str(known.yml)], tmp_path, time_s=0.01)
    assert len(comparison.failures) == 4


# Pipes


@pytest.mark.parametrize("name", ["@list", "image.png", "shard.tar", "video.mp4"])
def test_a_pipe_without_a_writer_is_a_failure(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_file, "PIPE_WAIT_S", 0.01)
    path = tmp_path / name.removeprefix("@")
    os.mkfifo(path)
    text = f"@{path}" if name.startswith("@") else str(path)
    with open_inputs([text]) as inputs:
        (item,) = inputs
    message = "no program writes into the pipe within 0.01 s"
    if isinstance(item.image, ImageError):
        assert message in str(item.image)
    else:
        with pytest.raises(ImageError, match=message):
            open_image_file(path)


def open_image_file(path: Path) -> bytes:
    from ov_mobilenet.images.image_files import read_file

    return read_file(path)


def test_a_pipe_is_read_to_its_end_however_slow_its_writer_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_file, "PIPE_WAIT_S", 0.01)
    pipe, may_write = tmp_path / "pipe.png", threading.Event()
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)  # open for writing, and nothing written yet

    def write() -> None:
        may_write.wait()
        os.write(writer, b"first ")
        with pipe.open("wb") as other:
            os.close(writer)
            other.write(b"second")

    thread = threading.Thread(target=write)
    thread.start()
    with open_file.open_file(pipe) as opened:  # 0.01 s have passed
        may_write.set()
        assert opened.read() == b"first second"
    thread.join()


# Names that are not UTF-8


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.parquet", "r.json", "r.txt"])
def test_a_folder_whose_name_is_not_utf_8(name: str, known: Known, tmp_path: Path) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "a.png").write_bytes(known.files[0].read_bytes())
    command = ["classify", str(known.xml), "-o", str(folder / name), "-q"]
    assert main([*command, str(folder)]) == 0
    content = (folder / name).read_bytes()
    assert b"caf\\xe9" in content or b"caf\\\\xe9" in content or b"caf\\udce9" in content
    if name.rpartition(".")[2] in ("jsonl", "csv", "parquet"):
        assert main([*command, str(folder), str(known.files[1]), "--resume"]) == 0


def test_a_cache_whose_name_is_not_utf_8(known: Known, tmp_path: Path) -> None:
    cache = tmp_path / os.fsdecode(b"caf\xe9")
    command = [sys.executable, "-m", "ov_mobilenet", "classify", "-q", str(known.files[0]), "--cache-dir", str(cache)]
    command.insert(4, str(known.yml))
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(cache.rglob("*.xml"))
    assert main(["classify", str(known.xml), str(known.files[0]), "--model-cache", str(cache), "-d", "CPU", "-q"]) == 2
