"""Paths as users of Windows write them, and files that are opened without the functions of POSIX."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ov_mobilenet.bulk_classification.stores import LocalFolder, open_store
from ov_mobilenet.errors import ConfigError, UsageError
from ov_mobilenet.inputs.sources import masked, source_of_path, sources_of
from ov_mobilenet.operating_system.open_file import open_file
from ov_mobilenet.operating_system.path_texts import has_drive
from ov_mobilenet.zoo.hub_reference import is_hub_reference
from ov_mobilenet.zoo.text_files import read_limited

WINDOWS_PATHS = [
    r"C:\data\a.jpg", "C:/data/a.jpg", "c://data//a.jpg", r"\\server\share\a.jpg", "C:a.jpg",
]  # fmt: skip


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("text", [*WINDOWS_PATHS, r"\\?\C:\data\a.jpg"])
def test_a_path_with_a_drive_is_a_file_and_neither_a_url_nor_a_repository(text: str) -> None:
    assert has_drive(text)
    source = source_of_path(text)
    assert source.kind == "images"
    assert source.images[0].path == text
    assert masked(text) == text
    assert not is_hub_reference(text)
    assert isinstance(open_store(text), LocalFolder)


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("text", WINDOWS_PATHS)
def test_an_input_with_a_drive_is_an_image(text: str) -> None:
    assert [one.kind for one in sources_of(text)] == ["images"]


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("text", ["rtsp://user:secret@camera/1", "https://example.org/a.mjpeg"])
def test_a_url_is_a_stream_on_windows_too(text: str) -> None:
    assert not has_drive(text)
    assert [one.kind for one in sources_of(text)] == ["stream"]


@pytest.mark.usefixtures("windows")
def test_a_password_is_hidden_and_an_unknown_scheme_refused_on_windows_too() -> None:
    assert masked("rtsp://user:secret@camera/1") == "rtsp://***@camera/1"
    with pytest.raises(UsageError, match="unsupported URL scheme"):
        list(sources_of("ftp://example.org/a.jpg"))


@pytest.mark.skipif(os.name == "nt", reason="the rule of the other systems")
def test_a_drive_is_an_ordinary_name_on_posix() -> None:
    assert not any(has_drive(text) for text in WINDOWS_PATHS)
    with pytest.raises(UsageError, match="unsupported URL scheme"):
        list(sources_of("c://data"))


@pytest.fixture
def no_posix(windows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("O_NONBLOCK", "O_CLOEXEC", "set_blocking"):
        monkeypatch.delattr(os, name, raising=False)


@pytest.mark.usefixtures("no_posix")
def test_files_are_read_byte_by_byte_without_the_functions_of_posix(tmp_path: Path) -> None:
    path = tmp_path / "model.yml"
    path.write_bytes(b"a\r\nb\x1ac")
    with open_file(path) as file:
        assert file.read() == b"a\r\nb\x1ac"
    assert read_limited(path, 100) == b"a\r\nb\x1ac"


@pytest.mark.usefixtures("no_posix")
def test_a_folder_in_place_of_a_description_is_named_on_windows_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        read_limited(tmp_path, 100)
