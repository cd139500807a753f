"""Zip archives and folders given with `--source`: refused with one message, and nothing is written."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from ov_mobilenet.cli.main import main
from ov_mobilenet.conversion import exported_files
from ov_mobilenet.conversion.exported_files import find_exported
from ov_mobilenet.errors import ArchiveError, ConfigError
from ov_mobilenet.zoo.labels import read_labels

Capture = pytest.CaptureFixture[str]


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def refused(source: Path, code: int, words: tuple[str, ...], capsys: Capture) -> None:
    """`convert` ends with this exit code and one message, and writes nothing."""
    before = sorted(source.parent.rglob("*"))
    out = source.parent / "out"
    assert main(["convert", "--source", str(source), "--name", "x", "-o", str(out)]) == code
    shown = capsys.readouterr()
    assert shown.out == "" and "Traceback" not in shown.err
    assert shown.err.strip().count("\n") == 0
    assert all(word in shown.err for word in (source.name, *words)), shown.err
    assert sorted(source.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["../keras_model.h5"], ("../keras_model.h5", "leads outside the folder")),
        (["/tmp/keras_model.h5"], ("leads outside the folder",)),
        (["a/../../keras_model.h5"], ("leads outside the folder",)),
        (["..\\keras_model.h5"], ("leads outside the folder",)),
        (["keras_model.h5", "../../.bashrc"], ("../../.bashrc", "leads outside the folder")),
    ],
)
def test_export_with_names_outside(names: list[str], words: tuple[str, ...], tmp_path: Path, capsys: Capture) -> None:
    refused(zipped(tmp_path / "m.zip", dict.fromkeys(names, b"x")), 1, words, capsys)


def test_export_with_links(tmp_path: Path, capsys: Capture) -> None:
    for name in ("keras_model.h5", "labels.txt"):
        path = zipped(tmp_path / f"{name}.zip", {} if name == "keras_model.h5" else {"keras_model.h5": b"x"})
        with zipfile.ZipFile(path, "a") as archive:
            link = zipfile.ZipInfo(name)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "/etc/passwd")
        refused(path, 1, (name, "not a regular file"), capsys)


def test_export_with_several_networks_or_none(tmp_path: Path, capsys: Capture) -> None:
    two = {"keras_model.h5": b"x", "model.tflite": b"y", "labels.txt": b"0 a\n"}
    refused(zipped(tmp_path / "two.zip", two), 2, ("several networks", "keras_model.h5", "model.tflite"), capsys)
    none = {"labels.txt": b"0 a\n", "a/readme.md": b"", "__MACOSX/._keras_model.h5": b"x"}
    refused(zipped(tmp_path / "none.zip", none), 2, ("no network in the archive", "labels.txt"), capsys)
    refused(zipped(tmp_path / "empty.zip", {}), 2, ("no network in the archive",), capsys)
    for name, content in two.items():
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    refused(tmp_path / "folder", 2, ("several networks", "keras_model.h5", "model.tflite"), capsys)


def test_export_that_is_no_archive(tmp_path: Path, capsys: Capture) -> None:
    for name, content in {"text.zip": b"hello", "cut.zip": b"PK\x03\x04", "none.zip": b""}.items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, 1, ("broken archive",), capsys)


def claim(path: Path, member: bytes, size: int) -> None:
    """Let the directory of an archive declare another size of a member."""
    data = bytearray(path.read_bytes())
    entry = data.rindex(member) - 46
    assert data[entry : entry + 4] == b"PK\x01\x02"
    data[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    path.write_bytes(data)


def test_export_that_is_a_bomb(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    members = {"keras_model.h5": bytes(1 << 20), "labels.txt": b"0 a\n"}
    path = zipped(tmp_path / "declared.zip", members)
    claim(path, b"keras_model.h5", 3 << 30)
    refused(path, 1, ("network in the archive is too large",), capsys)
    path = zipped(tmp_path / "labels.zip", members)
    claim(path, b"labels.txt", 1 << 30)
    refused(path, 1, ("labels file in the archive is too large",), capsys)
    path = zipped(tmp_path / "more.zip", members)  # more bytes than it declares
    claim(path, b"keras_model.h5", 1000)
    refused(path, 1, ("keras_model.h5", "Bad CRC-32"), capsys)
    monkeypatch.setattr(exported_files, "MAX_MEMBERS", 3)
    many = zipped(tmp_path / "many.zip", members | {f"{index}": b"" for index in range(3)})
    refused(many, 1, ("too many files in the archive",), capsys)
    monkeypatch.setattr(exported_files, "MAX_ARCHIVE_BYTES", 100)
    with pytest.raises(ArchiveError, match="archive too large"):
        find_exported(many)


def test_labels_beside_a_network_of_a_gigabyte(tmp_path: Path) -> None:
    (tmp_path / "keras_model.h5").write_bytes(b"x")
    with (tmp_path / "labels.txt").open("wb") as file:
        file.truncate(1 << 30)  # sparse
    found = find_exported(tmp_path)
    assert found.labels is not None
    with pytest.raises(ConfigError, match="labels file too large"):
        read_labels(found.labels)
