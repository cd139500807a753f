"""Archives: the wanted member is unpacked and nothing else is written, whatever the archive holds."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from downloads.fake_transport import DescribeFiles, FakeTransport
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ov_mobilenet.downloads import archive as archives
from ov_mobilenet.downloads.archive import unpack
from ov_mobilenet.downloads.fetch import SourceFiles, download
from ov_mobilenet.errors import ArchiveError, DownloadError

WANTED = "model/net.pb"
CONTENT = bytes(range(256)) * 20
Entry = tuple[tarfile.TarInfo, bytes]
Fetch = Callable[..., SourceFiles]
MODES: dict[str, Any] = {"tar": "w:", "gztar": "w:gz", "bztar": "w:bz2", "xztar": "w:xz"}


def _entry(name: str, content: bytes = CONTENT, **fields: Any) -> Entry:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def _tar(path: Path, *entries: Entry, format_name: str = "gztar") -> Path:
    with tarfile.open(path, MODES[format_name]) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return path


def _zip(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as zipped:
        for info, content in entries:
            zipped.writestr(info, content)
    return path


def _make(path: Path, format_name: str, *names: str) -> Path:
    if format_name == "zip":
        return _zip(path, *((name, CONTENT) for name in names))
    return _tar(path, *(_entry(name) for name in names), format_name=format_name)


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Path]:
    """The folder to unpack into; afterwards nothing may lie beside it but the archive, and no temporary file in it."""
    destination = tmp_path / "outer" / "destination"
    destination.mkdir(parents=True)
    yield destination
    assert _files(tmp_path / "outer") == [f"destination/{name}" for name in _files(destination)]
    assert not [name for name in _files(tmp_path) if name.endswith(".part")]
    assert {path.name for path in tmp_path.iterdir()} <= {"outer", "archive", "configs", "cache"}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.mark.parametrize("format_name", [*MODES, "zip"])
def test_only_the_wanted_member_is_written(format_name: str, archive: Path, destination: Path) -> None:
    _make(archive, format_name, "README", WANTED, "model/net.pbtxt", "model/net.pb.index")
    assert unpack(archive, format_name, WANTED, destination) == [destination / WANTED]
    assert _files(destination) == [WANTED]
    assert (destination / WANTED).read_bytes() == CONTENT


@pytest.mark.parametrize("format_name", [*MODES, "zip"])
def test_a_wanted_folder_is_unpacked_with_all_its_files(format_name: str, archive: Path, destination: Path) -> None:
    inside = ["net/saved_model.pb", "net/variables/variables.data", "net/variables/variables.index"]
    _make(archive, format_name, *inside, "nets/other.pb", "net.txt")
    assert sorted(unpack(archive, format_name, "net", destination)) == sorted(destination / name for name in inside)
    assert _files(destination) == inside


def test_a_leading_dot_slash_in_a_name_is_ignored(archive: Path, destination: Path) -> None:
    _tar(archive, _entry(".", b"", type=tarfile.DIRTYPE), _entry("./" + WANTED))
    unpack(archive, "gztar", WANTED, destination)
    assert _files(destination) == [WANTED]


def test_folder_members_are_skipped(archive: Path, destination: Path) -> None:
    _tar(archive, _entry("model", b"", type=tarfile.DIRTYPE), _entry(WANTED))
    unpack(archive, "gztar", "model", destination)
    assert _files(destination) == [WANTED]


def test_an_existing_file_is_replaced_only_by_a_complete_one(archive: Path, destination: Path) -> None:
    (destination / "model").mkdir()
    (destination / WANTED).write_bytes(b"earlier")
    content = _make(archive, "tar", WANTED).read_bytes()
    archive.write_bytes(content[:2000])
    with pytest.raises(ArchiveError):
        unpack(archive, "tar", WANTED, destination)
    assert (destination / WANTED).read_bytes() == b"earlier"
    archive.write_bytes(content)
    unpack(archive, "tar", WANTED, destination)
    assert (destination / WANTED).read_bytes() == CONTENT


@pytest.mark.parametrize("format_name", ["tar", "zip"])
@pytest.mark.parametrize(
    "name",
    ["../net.pb", "model/../../net.pb", "/tmp/net.pb", "//net.pb", "model\\net.pb", "..\\net.pb", "C:net.pb",
     "c:/net.pb", "model/net.pb:stream", "model/\x01net.pb", "model/..", "."],
)  # fmt: skip
def test_a_name_outside_the_folder_is_refused_and_named(
    name: str, format_name: str, archive: Path, destination: Path
) -> None:
    _make(archive, format_name, name)
    with pytest.raises(ArchiveError, match="leads outside the folder") as caught:
        unpack(archive, format_name, name, destination)
    assert str(archive) in str(caught.value)
    assert repr(name) in str(caught.value)
    assert _files(destination) == []


def test_an_unwanted_member_outside_the_folder_is_refused(archive: Path, destination: Path) -> None:
    _make(archive, "gztar", "../evil", WANTED)
    with pytest.raises(ArchiveError, match="evil"):
        unpack(archive, "gztar", WANTED, destination)
    assert _files(destination) == []


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "other.pb"),
        (tarfile.LNKTYPE, "other.pb"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (b"Z", ""),  # of no known type
    ],
)
def test_a_wanted_member_that_is_not_a_regular_file_is_refused(
    kind: bytes, link: str, archive: Path, destination: Path
) -> None:
    special = _entry(WANTED, b"", type=kind, linkname=link, devmajor=1, devminor=3)
    _tar(archive, _entry("other.pb"), special)
    with pytest.raises(ArchiveError, match=f"member '{WANTED}' is not a regular file"):
        unpack(archive, "gztar", WANTED, destination)
    assert _files(destination) == []


def test_a_file_is_not_written_through_a_link(archive: Path, destination: Path) -> None:
    link = _entry("model", b"", type=tarfile.SYMTYPE, linkname="../..")
    _tar(archive, link, _entry(WANTED))
    unpack(archive, "gztar", WANTED, destination)
    assert not (destination / "model").is_symlink()
    assert _files(destination) == [WANTED]


def test_a_link_in_a_zip_is_refused(archive: Path, destination: Path) -> None:
    link = zipfile.ZipInfo(WANTED)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    _zip(archive, (link, b"/etc/passwd"))
    with pytest.raises(ArchiveError, match=f"member '{WANTED}' is not a regular file"):
        unpack(archive, "zip", WANTED, destination)
    assert _files(destination) == []


def test_the_mode_of_a_member_is_not_applied(archive: Path, destination: Path) -> None:
    _tar(archive, _entry(WANTED, mode=0o6777, uid=12345))
    unpack(archive, "gztar", WANTED, destination)
    (destination / "plain").write_bytes(b"")
    plain, written = (destination / "plain").stat(), (destination / WANTED).stat()
    assert stat.S_IMODE(written.st_mode) == stat.S_IMODE(plain.st_mode)
    assert not written.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)
    assert written.st_uid == plain.st_uid


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([WANTED, WANTED], WANTED),
        ([WANTED, "./" + WANTED], WANTED),
        ([WANTED, "model//net.pb"], WANTED),
        (["model", WANTED], "model"),
        ([WANTED, "model"], "model"),
    ],
)
def test_a_duplicate_member_is_refused(names: list[str], wanted: str, archive: Path, destination: Path) -> None:
    _tar(archive, *(_entry(name) for name in names))
    with pytest.raises(ArchiveError, match=f"duplicate member '{names[1]}'"):
        unpack(archive, "gztar", wanted, destination)


@pytest.mark.parametrize("format_name", [*MODES, "zip"])
def test_a_missing_member_is_named(format_name: str, archive: Path, destination: Path) -> None:
    _make(archive, format_name, "other.pb")
    with pytest.raises(
        ArchiveError, match="lacks a file that the description refers to.*expected model/net.pb"
    ) as caught:
        unpack(archive, format_name, WANTED, destination)
    assert str(archive) in str(caught.value)


@pytest.mark.parametrize("format_name", [*MODES, "zip"])
@pytest.mark.parametrize("content", [b"", b"no archive" * 100, b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"PK\3\4"])
def test_a_file_that_is_not_an_archive_is_refused(
    content: bytes, format_name: str, archive: Path, destination: Path
) -> None:
    archive.write_bytes(content)
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, format_name, WANTED, destination)
    assert str(archive) in str(caught.value)


@pytest.mark.parametrize("made", [*MODES, "zip"])
@pytest.mark.parametrize("said", [*MODES, "zip"])
def test_a_wrong_format_is_refused(made: str, said: str, archive: Path, destination: Path) -> None:
    _make(archive, made, WANTED)
    if made == said:
        assert unpack(archive, said, WANTED, destination)
        return
    with pytest.raises(ArchiveError, match=f"broken archive.*expected {said}"):
        unpack(archive, said, WANTED, destination)
    assert _files(destination) == []


@pytest.mark.parametrize("format_name", ["gztar", "bztar", "xztar", "zip"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_truncated_archive_is_refused(part: float, format_name: str, archive: Path, destination: Path) -> None:
    noise = os.urandom(50_000)  # does not compress, so every cut is inside it
    if format_name == "zip":
        _zip(archive, (WANTED, noise))
    else:
        _tar(archive, _entry(WANTED, noise), format_name=format_name)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ArchiveError):
        unpack(archive, format_name, WANTED, destination)
    assert _files(destination) == []


@pytest.mark.parametrize("format_name", ["bztar", "xztar", "zip"])
def test_flipped_bytes_are_detected(format_name: str, archive: Path, destination: Path) -> None:
    noise = os.urandom(50_000)
    if format_name == "zip":
        _zip(archive, (WANTED, noise), compression=zipfile.ZIP_STORED)
    else:
        _tar(archive, _entry(WANTED, noise), format_name=format_name)
    content = bytearray(archive.read_bytes())
    content[25_000] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match="CRC" if format_name == "zip" else "broken archive"):
        unpack(archive, format_name, WANTED, destination)
    assert _files(destination) == []


def test_a_zip_with_a_password_is_refused(archive: Path, destination: Path) -> None:
    content = bytearray(_zip(archive, (WANTED, CONTENT)).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match="cannot be read.*password"):
        unpack(archive, "zip", WANTED, destination)


def test_a_zip_member_longer_than_declared_is_refused(archive: Path, destination: Path) -> None:
    content = bytearray(_zip(archive, (WANTED, CONTENT)).read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 100)
    archive.write_bytes(content)
    with pytest.raises(ArchiveError):
        unpack(archive, "zip", WANTED, destination)
    assert _files(destination) == []


@pytest.mark.parametrize("format_name", ["gztar", "zip"])
def test_too_many_members_are_refused(
    format_name: str, archive: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    _make(archive, format_name, "a", "b", WANTED)
    assert unpack(archive, format_name, WANTED, destination)
    _make(archive, format_name, "a", "b", "c", "d")
    with pytest.raises(ArchiveError, match="archive too large at member 'd'.*at most 3 members"):
        unpack(archive, format_name, "d", destination)
    assert _files(destination) == [WANTED]


@pytest.mark.parametrize("format_name", ["gztar", "zip"])
def test_an_archive_bomb_is_refused_by_its_size(
    format_name: str, archive: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 2 * len(CONTENT))
    _make(archive, format_name, "a", WANTED)
    assert unpack(archive, format_name, WANTED, destination)
    _make(archive, format_name, "a", "b", "c")
    with pytest.raises(ArchiveError, match="archive too large at member 'c'.*10240 bytes"):
        unpack(archive, format_name, "c", destination)
    assert _files(destination) == [WANTED]


def test_a_member_that_declares_a_petabyte_is_refused_before_it_is_read(archive: Path, destination: Path) -> None:
    info = tarfile.TarInfo(WANTED)
    info.size = 1 << 50
    archive.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 10240))
    with pytest.raises(ArchiveError, match="archive too large"):
        unpack(archive, "gztar", WANTED, destination)
    assert _files(destination) == []


def _seed(format_name: str) -> bytes:
    path = io.BytesIO()
    if format_name == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr(WANTED, b"hello" * 50)
            zipped.writestr("b", b"more")
    else:
        with tarfile.open(fileobj=path, mode=MODES[format_name], format=tarfile.PAX_FORMAT) as tar:
            for name, pax in ((WANTED, {"comment": "é"}), ("b" * 150, {})):
                info, content = _entry(name, b"hello" * 50, pax_headers=pax)
                tar.addfile(info, io.BytesIO(content))
    return path.getvalue()


@pytest.mark.parametrize("format_name", [*MODES, "zip"])
@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_raises_only_archive_errors(
    format_name: str, archive: Path, destination: Path, data: st.DataObject
) -> None:
    content = bytearray(_seed(format_name))
    damages = st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=6)
    for place, value in data.draw(damages, "damages"):
        content[place] = value
    archive.write_bytes(content[: data.draw(st.integers(0, len(content)), "length") or None])
    try:
        unpack(archive, format_name, WANTED, destination)
    except ArchiveError as error:
        assert str(archive) in str(error)


@pytest.fixture
def fetched(
    archive: Path, destination: Path, describe_files: DescribeFiles, transport: FakeTransport, tmp_path: Path
) -> Fetch:
    """Download a description whose network is in `archive`, a .tgz."""

    def fetch(network: str = WANTED) -> SourceFiles:
        url = "https://a.example.org/net.tgz"
        transport.answers[url] = archive.read_bytes()
        steps = [{"$type": "unpack_archive", "format": "gztar", "file": "net.tgz"}]
        config = describe_files({"net.tgz": (archive.read_bytes(), url)}, network=network, postprocessing=steps)
        return download(config, destination, cache_root=tmp_path / "cache", transport=transport)

    return fetch


def test_a_download_unpacks_the_network(
    archive: Path, destination: Path, fetched: Fetch, transport: FakeTransport
) -> None:
    _tar(archive, _entry("README"), _entry(WANTED))
    for _ in range(2):
        fetched()
        assert _files(destination) == [WANTED, "net.tgz"]
        (destination / WANTED).unlink()
    assert len(transport.calls) == 1


def test_a_modified_network_is_unpacked_again(archive: Path, destination: Path, fetched: Fetch) -> None:
    _tar(archive, _entry(WANTED))
    fetched()
    (destination / WANTED).write_bytes(b"spoilt")
    fetched()
    assert (destination / WANTED).read_bytes() == CONTENT


def test_a_download_with_a_hostile_archive_is_an_archive_error(
    archive: Path, destination: Path, fetched: Fetch
) -> None:
    _tar(archive, _entry("../../evil"), _entry(WANTED))
    with pytest.raises(ArchiveError, match=r"'\.\./\.\./evil'"):
        fetched()
    assert _files(destination) == ["net.tgz"]


def test_a_file_in_place_of_a_folder_is_a_download_error(archive: Path, destination: Path, fetched: Fetch) -> None:
    _tar(archive, _entry(WANTED))
    (destination / "model").write_text("a file where a folder is to be")
    with pytest.raises(DownloadError, match="File exists|Not a directory") as caught:
        fetched()
    assert str(destination / "model") in str(caught.value)
    assert (destination / "model").read_text().startswith("a file")
