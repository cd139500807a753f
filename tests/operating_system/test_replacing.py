"""Replacing files that a program has open, as Windows refuses it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from ov_mobilenet.bulk_classification.stores import LocalFolder
from ov_mobilenet.errors import OutputError
from ov_mobilenet.operating_system import replacing
from ov_mobilenet.outputs.output_files import write_atomically


class OpenElsewhere:
    """`Path.replace` and `Path.unlink` as on Windows while a program has a file open; it is closed after `calls`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, calls: int, winerror: int = 32) -> None:
        self.calls, self.winerror, self.waits, self.now = calls, winerror, 0, 0.0
        replace, unlink = Path.replace, Path.unlink

        def refusing_replace(path: Path, target: Path) -> Path:
            self._refuse(target)
            return replace(path, target)

        def refusing_unlink(path: Path, missing_ok: bool = False) -> None:
            self._refuse(path)
            unlink(path, missing_ok)

        monkeypatch.setattr(Path, "replace", refusing_replace)
        monkeypatch.setattr(Path, "unlink", refusing_unlink)
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def _sleep(self, seconds: float) -> None:
        self.waits += 1
        self.now += seconds

    def _refuse(self, path: Path) -> None:
        self.calls -= 1
        if self.calls >= 0:
            error = PermissionError(13, "Zugriff verweigert", str(path))
            error.winerror = self.winerror  # type: ignore[attr-defined]  # exists on Windows only
            raise error


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("winerror", [5, 32, 33, 1224])
def test_a_file_that_is_open_for_a_moment_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "new").write_text("new")
    system = OpenElsewhere(monkeypatch, calls=3, winerror=winerror)
    replacing.replace_file(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"
    assert system.waits == 3


@pytest.mark.usefixtures("windows")
def test_a_file_that_stays_open_is_an_error_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    system = OpenElsewhere(monkeypatch, calls=10_000)
    with pytest.raises(replacing.FileInUseError) as caught:
        replacing.replace_file(tmp_path / "new", path)
    assert caught.value.filename == str(path)
    assert 1.9 <= system.now <= 2.2
    monkeypatch.setattr(system, "_refuse", lambda one: None)
    monkeypatch.setattr(replacing, "_retried", _raise(caught.value))
    with pytest.raises(OutputError) as shown:
        write_atomically(path, "new")
    assert str(shown.value).startswith(
        f"{path}: the results cannot be written (another program has the file open, or it is write-protected: "
    )
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _raise(error: BaseException) -> Any:
    def act(*_: object) -> None:
        raise error

    return act


@pytest.mark.usefixtures("windows")
def test_an_open_file_is_deleted_when_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    OpenElsewhere(monkeypatch, calls=2)
    replacing.delete_file(tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.usefixtures("windows")
def test_another_error_is_raised_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = OpenElsewhere(monkeypatch, calls=1, winerror=2)
    with pytest.raises(PermissionError, match="Zugriff verweigert"):
        replacing.delete_file(tmp_path / "a")
    assert system.waits == 0


@pytest.mark.skipif(os.name == "nt", reason="the rule of the other systems")
def test_on_posix_nothing_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = OpenElsewhere(monkeypatch, calls=1)
    with pytest.raises(PermissionError, match="Zugriff verweigert"):
        replacing.delete_file(tmp_path / "a")
    assert system.waits == 0


@pytest.mark.usefixtures("windows")
def test_on_windows_bulk_locks_and_writes_without_opening_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system_open = os.open

    def refuse_folders(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", path)
        return system_open(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", refuse_folders)
    store = LocalFolder(str(tmp_path / "out"))
    store.begin()
    store.write("part-0.parquet", b"rows")
    with pytest.raises(OutputError, match="another run is writing to this folder"):
        LocalFolder(str(tmp_path / "out")).begin()
    store.end()
    assert store.read("part-0.parquet") == b"rows"
