"""The lock on an output file: the same rules with flock and with the lock file that Windows needs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ov_mobilenet.downloads.locks import folder_locked
from ov_mobilenet.errors import OutputError
from ov_mobilenet.operating_system import file_locks, systems
from ov_mobilenet.outputs.writer_lock import WriterLock

HOLDER = """
import sys
from pathlib import Path
from ov_mobilenet.operating_system import systems
systems.WINDOWS = sys.argv[2] == "windows"
from ov_mobilenet.outputs.writer_lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["posix", "windows"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(systems, "WINDOWS", request.param == "windows")
    return str(request.param)


def test_a_file_that_another_process_writes_is_refused_until_it_is_killed(tmp_path: Path, system: str) -> None:
    path = tmp_path / "results.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), system], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(OutputError, match="another process is writing to this file") as caught:
            WriterLock(path)
        assert caught.value.where == str(path)
        other.kill()
        other.wait()
    WriterLock(path).release()


@pytest.mark.usefixtures("system")
def test_a_second_lock_in_this_process_is_refused(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "a.csv")
    with pytest.raises(OutputError, match="another process is writing"):
        WriterLock(tmp_path / "a.csv")
    lock.release()
    lock.release()
    WriterLock(tmp_path / "a.csv").release()


@pytest.mark.usefixtures("system")
def test_the_lock_is_kept_when_the_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"old")
    lock = WriterLock(path)
    temporary = lock.temporary_path()
    temporary.write_bytes(b"new")
    lock.replace_with(temporary)
    assert path.read_bytes() == b"new"
    assert not temporary.exists()
    with pytest.raises(OutputError, match="another process is writing"):
        WriterLock(path)
    lock.release()
    assert path.read_bytes() == b"new"


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(("content", "keep", "stays"), [(b"", False, False), (b"", True, True), (b"x", False, True)])
def test_a_file_that_the_lock_created_is_removed_only_if_nothing_was_written(
    tmp_path: Path, content: bytes, keep: bool, stays: bool
) -> None:
    path = tmp_path / "a.jsonl"
    lock = WriterLock(path)
    assert path.read_bytes() == b""
    path.write_bytes(content)
    if keep:
        lock.keep_file()
    lock.release()
    assert path.exists() is stays


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads the open files of the process from /proc")
@pytest.mark.usefixtures("windows")
def test_on_windows_no_descriptor_of_the_locked_file_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    lock = WriterLock(path)
    descriptors = {one.readlink() for one in Path("/proc/self/fd").iterdir() if one.is_symlink()}
    assert path not in descriptors
    assert tmp_path / f".a.parquet{file_locks.LOCK_FILE_SUFFIX}" in descriptors
    lock.release()


@pytest.mark.usefixtures("windows")
def test_on_windows_a_file_that_cannot_be_created_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "results"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        file_locks.lock_path(path)
    path.rmdir()
    file_locks.lock_path(path).release(delete_empty=True)


def test_a_folder_is_not_locked_where_there_is_no_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder_locked(tmp_path) as locked:
        assert locked
    monkeypatch.setattr(file_locks, "fcntl", None)
    with folder_locked(tmp_path) as locked:
        assert not locked


@pytest.mark.usefixtures("system")
def test_another_thread_may_release_the_lock(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "a.csv")
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    WriterLock(tmp_path / "a.csv").release()


@pytest.mark.usefixtures("system")
def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WriterLock(tmp_path / "missing" / "a.csv")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_always_replaced_before_it_is_locked_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    opened = []

    def replaced(path: Path) -> int:
        opened.append(os.open(path, os.O_RDWR | os.O_CREAT))
        path.unlink()
        return opened[-1]

    monkeypatch.setattr(file_locks, "_open_locked", replaced)
    with pytest.raises(OutputError, match="another process is writing"):
        WriterLock(path)
    assert len(opened) == file_locks.ATTEMPTS
