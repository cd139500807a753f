"""Local folders as outputs: whole files, the lock, temporary files, disks that are full or cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ov_mobilenet.bulk_classification.stores import LocalFolder, open_store
from ov_mobilenet.errors import OutputError, UsageError

ROOT = Path(__file__).resolve().parents[2]
# Writes a part, and half of the next one; then it waits to be killed.
KILLED = """
import os, sys, time
import ov_mobilenet.bulk_classification.stores as stores
store = stores.open_store(sys.argv[1])
store.begin()
store.write("part-00000.parquet", b"whole")
def stop(file):
    print("half", flush=True)
    time.sleep(600)
os.fsync = stop
store.write("part-00000.parquet", b"half of the next attempt")
"""


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """A full disk: writes beyond `size` fail."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource = pytest.importorskip("resource", reason="Windows has no module resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written_listed_read_and_deleted(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "new" / "out"))
    assert store.sizes() == {}
    assert not (tmp_path / "new").exists()
    store.begin()
    store.write("a", b"0123456789")
    store.write("b", b"")
    store.write("b", b"2")
    (tmp_path / "new" / "out" / "folder").mkdir()
    store.end()
    assert store.sizes() == {"a": 10, "b": 1, "folder/": 0}
    assert (store.read("a"), store.read("a", 7), store.read("a", 2, 3)) == (b"0123456789", b"789", b"234")
    with store.open("a") as file:
        file.seek(-2, os.SEEK_END)
        assert file.read() == b"89"
    store.delete("a")
    store.delete("a")
    assert names(tmp_path / "new" / "out") == ["b", "folder"]


def test_a_process_that_is_killed_leaves_the_last_whole_file_and_no_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        with pytest.raises(OutputError, match="another run is writing to this folder"):
            open_store(str(tmp_path)).begin()
        process.kill()
    assert (tmp_path / "part-00000.parquet").read_bytes() == b"whole"
    partial = [name for name in names(tmp_path) if name.endswith(".ov-partial")]
    assert len(partial) == 1
    assert partial[0].startswith(".")
    (tmp_path / ".own.ov-partial").write_bytes(b"not of this program")

    store = open_store(str(tmp_path))
    store.begin()
    assert partial[0] not in names(tmp_path)
    store.end()
    assert names(tmp_path) == [".own.ov-partial", "part-00000.parquet"]


def test_one_run_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    first, second = open_store(str(tmp_path)), open_store(str(tmp_path))
    first.begin()
    with pytest.raises(OutputError, match="another run is writing to this folder. Wait until it ends"):
        second.begin()
    second.end()
    with pytest.raises(OutputError, match="another run is writing"):
        second.begin()
    first.end()
    first.end()
    second.begin()
    second.end()
    assert names(tmp_path) == []


def test_on_a_full_disk_the_old_file_stays_and_nothing_else(tmp_path: Path) -> None:
    store = LocalFolder(str(tmp_path))
    store.write("part-00000.parquet", b"old")
    with file_size_limit(1000), pytest.raises(OutputError) as caught:
        store.write("part-00000.parquet", b"n" * 5000)
    assert (tmp_path / "part-00000.parquet").read_bytes() == b"old"
    assert names(tmp_path) == ["part-00000.parquet"]
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/part-00000.parquet: the results cannot be written (File too large)")
    assert message.endswith("Free disk space. The parts that are done are kept: run the same command again")


def test_an_interrupted_write_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(file: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        LocalFolder(str(tmp_path)).write("a", b"1")
    assert names(tmp_path) == []


@pytest.mark.parametrize("below", ["", "/deep/out"])
def test_a_file_in_the_place_of_the_folder_is_reported(below: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"x")
    store = open_store(f"{tmp_path}/out{below}")
    for act in (store.begin, store.sizes):
        with pytest.raises(OutputError, match=r"out: the output is not a folder: expected a folder.* got a file"):
            act()
    assert (tmp_path / "out").read_bytes() == b"x"


@pytest.fixture
def without_root() -> Iterator[None]:
    """Run as a user to whom permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.usefixtures("without_root")
def test_a_folder_without_write_permission_is_reported() -> None:
    for output in ("/ov-mobilenet-results", "/usr"):
        with pytest.raises(OutputError, match=r"cannot be written \(Permission denied\). Select another output"):
            open_store(output).begin()


def test_an_error_of_the_system_is_reported_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(OutputError, match=r"the output cannot be read \(Permission denied\). Select another output"):
        open_store(str(tmp_path)).sizes()
    with pytest.raises(OutputError, match=r"missing: the output cannot be read \(No such file or directory\)"):
        open_store(str(tmp_path)).read("missing")


def test_a_machine_without_the_folder_creates_none(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "out"))
    with pytest.raises(OutputError, match="does not exist on this machine, or was deleted. On a cluster, use a folder"):
        store.write("part-00000.parquet", b"1")
    assert names(tmp_path) == []


def test_other_urls_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="expected a folder, s3:// or gs://, got ftp://host/out"):
        open_store("ftp://host/out")
    assert names(tmp_path) == []


def test_an_output_without_a_name_is_not_the_current_folder() -> None:
    """`-o "$OUT"` in a shell where OUT is not set."""
    with pytest.raises(UsageError, match="the output has no name"):
        open_store("")
