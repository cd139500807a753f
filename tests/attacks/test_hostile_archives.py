"""Hostile archives beyond those of tests/downloads/test_archive.py."""

from __future__ import annotations

import gzip
import io
import os
import random
import stat
import tarfile
import tracemalloc
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks.loopback_server import leftovers

from ov_mobilenet.downloads import archive as archives
from ov_mobilenet.downloads.archive import unpack
from ov_mobilenet.errors import ArchiveError

WANTED = "model/net.pb"
CONTENT = bytes(range(256)) * 20
Entry = tuple[tarfile.TarInfo, bytes]
Pack = Callable[..., Path]


def entry(name: str, content: bytes = CONTENT, **fields: Any) -> Entry:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Path]:
    """The folder to unpack into; afterwards nothing may lie beside it, and no temporary file in it."""
    destination = tmp_path / "destination"
    destination.mkdir()
    yield destination
    assert {path.name for path in tmp_path.iterdir()} <= {"destination", "archive"}
    assert leftovers(tmp_path) == []


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    def write(*entries: Entry) -> Path:
        with tarfile.open(tmp_path / "archive", "w:gz", compresslevel=1) as tar:
            for info, content in entries:
                tar.addfile(info, io.BytesIO(content))
        return tmp_path / "archive"

    return write


def files(destination: Path) -> list[str]:
    return sorted(path.relative_to(destination).as_posix() for path in destination.rglob("*") if not path.is_dir())


def refused(archive: Path, words: str, destination: Path, wanted: str = WANTED, format_name: str = "gztar") -> str:
    with pytest.raises(ArchiveError, match=words) as caught:
        unpack(archive, format_name, wanted, destination)
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(destination) == []
    return str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_huge_name_header(kind: bytes, tmp_path: Path, destination: Path) -> None:
    """A name of 300 MB that compresses to a few bytes is not read into memory."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, 300 << 20
    packer = zlib.compressobj(9, wbits=31)
    with (tmp_path / "archive").open("wb") as out:
        out.write(packer.compress(info.tobuf(tarfile.GNU_FORMAT)))
        for _ in range(300):
            out.write(packer.compress(b"a" * (1 << 20)))
        out.write(packer.flush())
    tracemalloc.start()
    try:
        refused(tmp_path / "archive", "a header of 31457", destination)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_300k_folders(tmp_path: Path, destination: Path) -> None:
    header = entry("d", b"", type=tarfile.DIRTYPE)[0].tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "archive").write_bytes(gzip.compress(header * 300_000, 1))
    refused(tmp_path / "archive", "archive too large at member 'd'.*10000 members", destination)


def test_many_empty_members_of_a_zip(tmp_path: Path, destination: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive", "w") as zipped:
        for i in range(archives.MAX_MEMBERS + 1):
            zipped.writestr(f"f{i}", b"")
    refused(tmp_path / "archive", "archive too large at member 'f10000'", destination, "f0/x", "zip")


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0", "gnu"])
def test_sparse(version: str, pack: Pack, tmp_path: Path, destination: Path) -> None:
    size = 1 << 30
    if version == "gnu":
        info = tarfile.TarInfo(WANTED)
        header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        header[156:157] = tarfile.GNUTYPE_SPARSE
        header[386:410] = b"%011o\0%011o\0" % (0, 0)
        header[483:495] = b"%011o\0" % size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        (tmp_path / "archive").write_bytes(gzip.compress(bytes(header) + bytes(1024)))
    else:
        headers = {
            "0.0": {"GNU.sparse.size": str(size), "GNU.sparse.numblocks": "1", "GNU.sparse.offset": "0",
                    "GNU.sparse.numbytes": "0"},
            "0.1": {"GNU.sparse.size": str(size), "GNU.sparse.map": "0,0", "GNU.sparse.name": WANTED},
            "1.0": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(size),
                    "GNU.sparse.name": WANTED},
        }[version]  # fmt: skip
        content = b"1\n0\n0\n".ljust(512, b"\0")
        pack(entry(WANTED, content, pax_headers=headers))
    refused(tmp_path / "archive", f"member '{WANTED}' is not a regular file", destination)


@pytest.mark.parametrize("format_name", ["gztar", "zip"])
def test_bomb(format_name: str, tmp_path: Path, destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more than the limit; the real limit is 4 GiB."""
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 50 << 20)
    zeros = bytes((50 << 20) + 1)
    if format_name == "zip":
        with zipfile.ZipFile(tmp_path / "archive", "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr(WANTED, zeros)
    else:
        with tarfile.open(tmp_path / "archive", "w:gz") as tar:
            info, content = entry(WANTED, zeros)
            tar.addfile(info, io.BytesIO(content))
    assert (tmp_path / "archive").stat().st_size < 1 << 20
    assert WANTED in refused(tmp_path / "archive", "archive too large", destination, format_name=format_name)


def test_overlapping_zip_bomb(tmp_path: Path, destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many members with the same data: all sizes are added."""
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 50 << 20)
    with zipfile.ZipFile(tmp_path / "archive", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(WANTED, bytes(10 << 20))
        first = zipped.infolist()[0]
        for i in range(6):
            info = zipfile.ZipInfo(f"copy{i}")
            for field in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(info, field, getattr(first, field))
            zipped.filelist.append(info)
            zipped.NameToInfo[info.filename] = info
    with pytest.raises(ArchiveError, match="archive too large at member 'copy4'"):
        unpack(tmp_path / "archive", "zip", "copy9", destination)


def test_nested_archive_is_not_unpacked(pack: Pack, destination: Path) -> None:
    inner = gzip.compress(bytes(10 << 20))
    archive = pack(entry(WANTED, inner))
    unpack(archive, "gztar", WANTED, destination)
    assert (destination / WANTED).read_bytes() == inner


def test_fifo(pack: Pack, destination: Path) -> None:
    """It is neither created nor opened, which would block."""
    pipes = [entry(name, b"", type=tarfile.FIFOTYPE) for name in ("pipe", "model/x")]
    archive = pack(*pipes, entry(WANTED))
    unpack(archive, "gztar", WANTED, destination)
    assert files(destination) == [WANTED]
    second_destination = destination / "again"
    second_destination.mkdir()
    refused(archive, "member 'model/x' is not a regular file", second_destination, "model")


def test_fifo_in_a_zip(tmp_path: Path, destination: Path) -> None:
    info = zipfile.ZipInfo(WANTED)
    info.external_attr = (stat.S_IFIFO | 0o644) << 16
    with zipfile.ZipFile(tmp_path / "archive", "w") as zipped:
        zipped.writestr(info, b"")
    refused(tmp_path / "archive", "not a regular file", destination, format_name="zip")


@pytest.mark.parametrize(
    "name",
    [
        "model/ne\u202et.pb",  # right to left
        "mode\u0131/net.pb",
        "model\u2215net.pb",  # division slash
        "\uff0e\uff0e/net.pb",  # full-width dots
        "model/net.pb\u200b",
        "model/net\udc80.pb",  # no UTF-8
        "MODEL/NET.PB",
        " model/net.pb",
    ],
)
def test_names_that_look_alike(name: str, pack: Pack, destination: Path) -> None:
    """Names that look alike are different names; only the wanted file is written."""
    archive = pack(entry(name, b"evil"), entry(WANTED))
    unpack(archive, "gztar", WANTED, destination)
    assert files(destination) == [WANTED]
    assert (destination / WANTED).read_bytes() == CONTENT


def test_name_in_two_unicode_forms(pack: Pack, destination: Path) -> None:
    composed, taken_apart = (unicodedata.normalize(form, "model/né.pb") for form in ("NFC", "NFD"))
    archive = pack(entry(taken_apart, b"evil"), entry(composed))
    unpack(archive, "gztar", composed, destination)
    assert (destination / composed).read_bytes() == CONTENT
    assert len(files(destination)) == 1


@pytest.mark.parametrize("name", ["model/\x1b[2J.pb", "model/a\nb", "../\x1b]0;x\x07", "model/\x00x"])
def test_terminal_codes_in_member_names_are_escaped(name: str, tmp_path: Path, destination: Path) -> None:
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    with zipfile.ZipFile(tmp_path / "archive", "w") as zipped:
        zipped.writestr(info, b"")
        zipped.writestr(WANTED, CONTENT)
    try:
        unpack(tmp_path / "archive", "zip", WANTED, destination)
    except ArchiveError as error:
        assert str(error).isprintable()
    assert set(files(destination)) <= {WANTED}


def test_member_named_like_the_archive(tmp_path: Path, destination: Path) -> None:
    """The archive is in the folder into which it is unpacked, as every downloaded one is."""
    place = destination / "net.tgz"
    with tarfile.open(tmp_path / "archive", "w:gz") as tar:
        for info, content in (entry("net.tgz", b"evil"), entry(WANTED)):
            tar.addfile(info, io.BytesIO(content))
    (tmp_path / "archive").rename(place)
    before = place.read_bytes()
    unpack(place, "gztar", WANTED, destination)
    assert place.read_bytes() == before
    assert files(destination) == [WANTED, "net.tgz"]


def test_member_named_like_a_temporary_file(pack: Pack, destination: Path) -> None:
    """Otherwise it would be deleted with the file that is written next, or be taken for that file."""
    for members in (
        (entry(WANTED), entry("model/.net.pb.part", b"evil")),
        (entry("model/.net.pb.part"), entry(WANTED)),
    ):
        archive = pack(*members)
        with pytest.raises(ArchiveError, match="duplicate member"):
            unpack(archive, "gztar", "model", destination)
        assert files(destination) == []
    unpack(archive, "gztar", WANTED, destination)
    assert files(destination) == [WANTED]


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o555])
def test_modes_of_the_archive_are_not_applied(mode: int, pack: Pack, destination: Path) -> None:
    """The modes in the archive are not applied: unpacked files can be written and deleted."""
    archive = pack(entry("model", b"", type=tarfile.DIRTYPE, mode=mode), entry(WANTED, mode=mode))
    for _ in range(2):
        unpack(archive, "gztar", WANTED, destination)
    assert stat.S_IMODE((destination / "model").stat().st_mode) & 0o700 == 0o700
    assert stat.S_IMODE((destination / WANTED).stat().st_mode) & 0o600 == 0o600


def test_link_at_the_target_is_replaced(pack: Pack, destination: Path, tmp_path: Path) -> None:
    (destination / "model").mkdir()
    (destination / "outside").write_bytes(b"precious")
    (destination / WANTED).symlink_to(destination / "outside")
    unpack(pack(entry(WANTED)), "gztar", WANTED, destination)
    assert (destination / "outside").read_bytes() == b"precious"
    assert not (destination / WANTED).is_symlink()


def test_long_names(pack: Pack, destination: Path) -> None:
    archive = pack(entry("a/" * 2000 + "x"), entry("n" * 5000), entry(WANTED))
    unpack(archive, "gztar", WANTED, destination)
    assert files(destination) == [WANTED]


def test_wanted_name_too_long_for_the_disk(pack: Pack, destination: Path) -> None:
    archive = pack(entry("model/" + "n" * 300))
    with pytest.raises(OSError, match="name too long"):  # `download` makes a DownloadError of it
        unpack(archive, "gztar", "model", destination)
    assert files(destination) == []


def test_hard_link_to_a_wanted_member(pack: Pack, destination: Path) -> None:
    archive = pack(entry(WANTED), entry("model/again", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd"))
    with pytest.raises(ArchiveError, match="'model/again' is not a regular file"):
        unpack(archive, "gztar", "model", destination)
    assert files(destination) == []


def test_trailing_noise_after_the_archive(pack: Pack, destination: Path) -> None:
    archive = pack(entry(WANTED))
    with archive.open("ab") as out:
        out.write(random.Random(3).randbytes(1000))
    try:
        unpack(archive, "gztar", WANTED, destination)
    except ArchiveError:
        assert files(destination) == []
        return
    assert (destination / WANTED).read_bytes() == CONTENT
    assert not os.access(destination / WANTED, os.X_OK)
