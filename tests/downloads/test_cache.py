"""The entries of the cache, and what pruning removes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ov_mobilenet.downloads import cache
from ov_mobilenet.errors import HashMismatchError
from ov_mobilenet.zoo.model import Checksum, ModelFile

OLD = 40 * 86_400


def fill(root: Path) -> tuple[Path, Path, Path]:
    """A source file, an unfinished one, and a converted model; the first two are forty days old."""
    stored = cache.entry(root, Checksum("sha384", "ab" * 48))
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"12345")
    part = stored.with_name("cd" * 48 + ".part")
    part.write_bytes(b"123")
    part.with_name(part.name + ".json").write_text("{}")
    for path in (stored, part):
        past = path.stat().st_mtime - OLD
        os.utime(path, (past, past))
    xml = root / "ir" / "key" / "FP32" / "net.xml"
    xml.parent.mkdir(parents=True)
    xml.write_bytes(b"1234567")
    return stored, part, xml.parents[1]


def test_entries_report_kind_size_and_age(tmp_path: Path) -> None:
    stored, part, folder = fill(tmp_path)
    found = {entry.path: entry for entry in cache.entries(tmp_path)}
    assert {path: (entry.kind, entry.size) for path, entry in found.items()} == {
        stored: ("file", 5),
        part: ("unfinished", 3),
        folder: ("ir", 7),
    }
    assert round(found[stored].age_days) == 40
    assert found[folder].age_days < 1
    assert cache.entries(tmp_path / "nothing") == []


def test_removing_an_entry_removes_its_metadata(tmp_path: Path) -> None:
    for entry in (*cache.entries(tmp_path), *(fill(tmp_path) and cache.entries(tmp_path))):
        assert cache.remove(tmp_path, entry)
    assert cache.entries(tmp_path) == []
    assert not list((tmp_path / "files").rglob("*.json"))


def test_a_locked_entry_is_not_removed(tmp_path: Path) -> None:
    stored, part, folder = fill(tmp_path)
    with cache.locked(tmp_path, stored), cache.locked(tmp_path, folder):
        removed = {entry.path: cache.remove(tmp_path, entry) for entry in cache.entries(tmp_path)}
    assert removed == {stored: False, part: True, folder: False}
    assert stored.exists()
    assert folder.exists()


def test_the_default_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_root().name == "ov-mobilenet"


@pytest.mark.parametrize(("content", "words"), [(b"1234567", "too many bytes"), (b"123", "too few bytes")])
def test_a_local_file_of_another_size_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    file = ModelFile(name="net.onnx", size=5, checksum=None, sources=())
    target = tmp_path / "net.onnx"
    target.write_bytes(b"earlier")
    with pytest.raises(HashMismatchError, match=words):
        cache.write_verified([content], target, file)
    assert target.read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
