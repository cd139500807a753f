"""Archives of random members, whole and damaged: unpacked inside the folder with the right bytes, or not at all."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from attacks import damage
from attacks.fuzz import Attack
from attacks.outside_watch import nothing_outside

from ov_mobilenet.downloads.archive import unpack
from ov_mobilenet.errors import ArchiveError

FORMATS = ("zip", "tar", "gztar", "bztar", "xztar")
PACK: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gztar": gzip.compress,
    "bztar": bz2.compress,
    "xztar": lzma.compress,
}
WANTED = "net"  # a file, or a folder of files
GOOD = ("net", "net/a.bin", "net/b/c.bin", "./net/d.bin", "net//e.bin", "other.txt", "other/f", "nets/g")
ODD = (
    "../net", "net/../../x", "/net", "/net/x", "C:/net", "net\\x", "net/\x01", "net/..", "net/.", "NET", "net ", "ｎet",
    "net/\u202efdp", "net/" + "x" * 300, "/".join(["net"] * 200), "", ".", "~/net", "net/.a.bin.part",
    "net/%2e%2e/x", "net:x",
)  # fmt: skip
TAR_TYPES = (
    tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"x",
    b"g", b"S",
)  # fmt: skip


def names(rng: random.Random) -> list[str]:
    odd = rng.random() < 0.5
    return [rng.choice(ODD) if odd and rng.random() < 0.3 else rng.choice(GOOD) for _ in range(rng.randrange(1, 7))]


def content(rng: random.Random) -> bytes:
    return rng.choice((b"", b"x", rng.randbytes(2000), bytes(1 << 20)))


def zip_archive(rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    compression = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as zipped:
        warnings.simplefilter("ignore")  # duplicate names
        for name in names(rng):
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            kind = rng.choice((0, 0, 0, 0, stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR))
            info.external_attr = (kind | 0o7777) << 16
            zipped.writestr(info, content(rng))
    return buffer.getvalue()


def tar_archive(rng: random.Random, packed: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=rng.choice((0, 1, 2))) as tar:
        for name in names(rng):
            info = tarfile.TarInfo(name)
            info.mode = rng.choice((0o644, 0o7777, 0))
            data = content(rng)
            if rng.random() < 0.15:
                info.type = rng.choice(TAR_TYPES)
                info.linkname = rng.choice(("/etc/passwd", "..", "net", "other.txt", "../../x"))
                data = b""
            info.size = len(data)
            try:
                tar.addfile(info, io.BytesIO(data))
            except ValueError:  # a name that this format of tar cannot hold
                continue
    return PACK[packed](buffer.getvalue())


def good_members(data: bytes, kind: str) -> dict[str, bytes]:
    """Names and contents of the wanted members of an undamaged archive, by another way of reading it."""
    found: dict[str, bytes] = {}
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as zipped:
            for info in zipped.infolist():
                found.setdefault(os.path.normpath(info.filename), zipped.read(info))
    else:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar.getmembers():
                if member.isreg():
                    stream = tar.extractfile(member)
                    assert stream is not None
                    found.setdefault(os.path.normpath(member.name), stream.read())
    return found


def unpacked(data: bytes, kind: str, folder: Path, rng: random.Random) -> dict[str, bytes] | None:
    """The files that were written; None after an error, which leaves the folder as it was."""
    (folder / "beside").write_bytes(b"untouched")
    archive, target = folder / "archive", folder / "target"
    archive.write_bytes(data)
    target.mkdir()
    before = {}
    if rng.random() < 0.3:
        (target / "net").mkdir()
        (target / "net" / "a.bin").write_bytes(b"earlier")
        before = {"net/a.bin": b"earlier"}
    written = None
    with nothing_outside(target):
        try:
            written = unpack(archive, kind, WANTED, target)
        except ArchiveError as error:
            assert str(error).isprintable() and str(archive) in str(error) and len(str(error)) < 3000, error
        except OSError as error:
            assert error.strerror in ("File name too long", "Is a directory", "Not a directory"), error
    files = {
        str(path.relative_to(target)): path for path in target.rglob("*") if not path.is_dir() or path.is_symlink()
    }
    assert all(stat.S_ISREG(path.lstat().st_mode) and not path.lstat().st_mode & 0o7000 for path in files.values())
    found = {name: path.read_bytes() for name, path in files.items()}
    assert (folder / "beside").read_bytes() == b"untouched"
    assert sorted(each.name for each in folder.iterdir()) == ["archive", "beside", "target"]
    if written is None:
        assert found == before, "files are left after an error"
        assert before or not list(target.iterdir()), "folders are left after an error"
        return None
    assert {str(path.relative_to(target)) for path in written} | set(before) == set(found)
    return {str(path.relative_to(target)): path.read_bytes() for path in written}


def whole(rng: random.Random, folder: Path) -> None:
    """Random members, some with names or types that are refused: each file has the bytes of its member."""
    kind = rng.choice(FORMATS)
    data = zip_archive(rng) if kind == "zip" else tar_archive(rng, kind)
    found = unpacked(data, kind, folder, rng)
    for name, file in (found or {}).items():
        assert file == good_members(data, kind)[os.path.normpath(name)], name


def damaged(rng: random.Random, folder: Path) -> None:
    """The same with flipped, cut, repeated bytes: a zip's, gzip's, bzip2's or xz's checksum tells what differs."""
    kind = rng.choice(FORMATS)
    data = zip_archive(rng) if kind == "zip" else tar_archive(rng, kind)
    bad = damage.damaged(data, rng)
    found = unpacked(bad, kind, folder, rng)
    if kind in ("tar", "xztar") or not found:  # a tar has no checksum of its contents; lzma may be without
        return
    contents = set(good_members(data, kind).values())
    assert all(file in contents for file in found.values()), f"other bytes out of a {kind} without an error"


ATTACKS = (
    Attack("archives: random members", 2000, whole, 40),
    Attack("archives: damaged", 3000, damaged, 60),
)
