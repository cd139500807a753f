"""Tar shards: order, damage in every place, malicious members, memory; `tarfile` is the oracle."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Literal

import pytest
from inputs.media import image, shard

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images import image_files
from ov_mobilenet.inputs.open_inputs import open_inputs
from ov_mobilenet.runtime.items import Item

MEMBERS = {f"{n:04}.{kind}": image(n) if kind == "jpg" else b"7" for n in range(40) for kind in ("jpg", "cls")}
IMAGES = [(name, data) for name, data in MEMBERS.items() if name.endswith("jpg")]

READ_ALL = """
import re, sys
from pathlib import Path
from ov_mobilenet.inputs.open_inputs import open_inputs
def peak_kb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
items = iter(open_inputs(sys.argv[1] + "/*.tar"))
first = [next(items).source for _ in range(1000)]
before = peak_kb()
print(len(first) + sum(1 for _ in items), peak_kb() - before)
"""


def read(*paths: Path, **options: Any) -> list[Item]:
    with open_inputs(paths, **options) as inputs:
        return list(inputs)


@pytest.mark.parametrize(("name", "mode"), [("s.tar", "w"), ("s.tar.gz", "w:gz"), ("s.tgz", "w:gz"), ("s.tar", "w:gz")])
def test_the_images_of_a_shard_are_read_in_order(tmp_path: Path, name: str, mode: Literal["w", "w:gz"]) -> None:
    path = shard(tmp_path / name, MEMBERS, mode)
    assert [(item.source, item.image) for item in read(path)] == [(f"{path}/{n}", data) for n, data in IMAGES]
    assert [item.image for item in read(path, every=9)] == [data for _, data in IMAGES[::9]]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_shard_gives_its_complete_images_and_one_failure(
    tmp_path: Path, mode: Literal["w", "w:gz"], share: float
) -> None:
    whole = shard(tmp_path / "whole.tar", MEMBERS, mode)
    if mode == "w":  # without the blocks of zeros at its end
        whole.write_bytes(whole.read_bytes().rstrip(b"\0"))
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    good = shard(tmp_path / "good.tar", {"last.jpg": image()})
    *before, failure, last = read(cut, good)
    assert [item.image for item in before] == [data for _, data in IMAGES[: len(before)]]
    assert failure.source == str(cut)
    assert "the shard cannot be read to its end" in str(failure.image)
    assert last.source == f"{good}/last.jpg"


def test_a_shard_truncated_between_two_members_is_detected(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", MEMBERS)
    with tarfile.open(path) as archive:
        end = archive.getmembers()[10].offset
    path.write_bytes(path.read_bytes()[:end])
    *before, failure = read(path)
    assert len(before) == 5
    assert f"truncated header at byte {end}" in str(failure.image)


def test_an_overwritten_header_is_a_failure_and_not_the_end(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", MEMBERS)
    with tarfile.open(path) as archive:
        begin = archive.getmembers()[20].offset
    content = bytearray(path.read_bytes())
    content[begin : begin + 512] = b"\xa5" * 512
    path.write_bytes(content)
    *before, failure = read(path)
    assert len(before) == 10
    assert isinstance(failure.image, ImageError)


def test_damaged_images_are_returned_unchanged(tmp_path: Path) -> None:
    items = read(shard(tmp_path / "s.tar", {"a.jpg": image()[:50], "b.jpg": b"", "c.jpg": image()}))
    assert [item.image for item in items] == [image()[:50], b"", image()]


def test_member_names_are_not_used_as_paths_and_only_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "hostile.tar"
    names = ["../../../etc/x.jpg", "/etc/passwd.jpg", "a\nb.jpg", "./deep/er.input.JPG"]
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo("link.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    before = sorted(tmp_path.iterdir())
    assert [(item.source, item.image) for item in read(path)] == [(f"{path}/{name}", b"abc") for name in names]
    assert sorted(tmp_path.iterdir()) == before


def test_a_member_name_that_is_not_utf8_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        archive.addfile(tarfile.TarInfo("caf\xe9.jpg"))
    (item,) = read(path)
    item.source.encode()
    assert item.source.endswith("caf\\xe9.jpg")


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_agree_with_tarfile(tmp_path: Path, tar_format: int) -> None:
    """Names up to the limits of each format, members of all kinds, sizes around the block size."""
    rng = random.Random(tar_format)
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w", format=tar_format, pax_headers={"comment": "global"}) as archive:
        for number in range(300):
            length = rng.choice(
                [5, 60, 90] if tar_format == tarfile.USTAR_FORMAT else [5, 99, 100, 101, 155, 300, 3000]
            )
            name = "é/" * (length // 3) + f"{number}.{rng.choice(['jpg', 'PNG', 'txt'])}"
            if tar_format == tarfile.USTAR_FORMAT:
                name = name.replace("é", "e")
            info = tarfile.TarInfo(name)
            info.type = rng.choice([tarfile.REGTYPE] * 5 + [tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE])
            info.linkname = "" if info.isreg() or tar_format == tarfile.USTAR_FORMAT else "target" * rng.choice([1, 50])
            data = rng.randbytes(rng.choice([0, 1, 511, 512, 513, 5000])) if info.isreg() else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    expected = []
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is not None and member.name.lower().endswith(("jpg", "png")):
                expected.append((f"{path}/{member.name}", stream.read()))
    assert len(expected) > 80
    assert [(item.source, item.image) for item in read(path)] == expected
    assert [(item.source, item.image) for item in read(path, every=7)] == expected[::7]


def test_a_sparse_member_is_a_failure_of_its_own(tmp_path: Path) -> None:
    """An old GNU sparse file with more extents than its header holds, written by hand."""
    info = tarfile.TarInfo("sparse.jpg")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 600
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1  # one block of extents follows
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    good = shard(tmp_path / "good.tar", {"good.jpg": image()}).read_bytes()
    path = tmp_path / "s.tar"
    path.write_bytes(bytes(header) + bytes(512) + b"data" * 256 + good)
    sparse, last = read(path)
    assert "sparse file" in str(sparse.image)
    assert last.image == image()


@pytest.mark.parametrize("records", [b"99 path=a.jpg\n", b"0 path=a.jpg\n", b"5 path=a.jpg\n", b"path", b"-5 path=a\n"])
def test_damaged_pax_records_are_a_failure(tmp_path: Path, records: bytes) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, len(records)
    path = tmp_path / "s.tar"
    good = shard(tmp_path / "good.tar", {"good.jpg": image()}).read_bytes()
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + records.ljust(512, b"\0") + good)
    (failure,) = read(path)
    assert "damaged pax header" in str(failure.image)


def test_a_pax_size_replaces_that_of_the_header(tmp_path: Path) -> None:
    records = b"10 size=3\n"
    pax, member = tarfile.TarInfo("pax"), tarfile.TarInfo("a.jpg")
    pax.type, pax.size = tarfile.XHDTYPE, len(records)
    path = tmp_path / "s.tar"
    path.write_bytes(
        pax.tobuf(tarfile.GNU_FORMAT) + records.ljust(512, b"\0")
        + member.tobuf(tarfile.GNU_FORMAT) + b"abc".ljust(512, b"\0") + bytes(1024)
    )  # fmt: skip
    assert [item.image for item in read(path)] == [b"abc"]


def test_members_with_excessive_sizes_are_not_read(tmp_path: Path) -> None:
    huge = tarfile.TarInfo("huge.jpg")
    huge.size = image_files.MAX_FILE_BYTES + 1
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    for info, message in ((huge, "file too large"), (header, "the header at byte 0 declares 1099511627776 bytes")):
        path = tmp_path / "s.tar"
        path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 2048)
        assert message in str(read(path)[0].image)


@pytest.mark.parametrize("size", [-512, -1024, -1])
def test_a_negative_size_does_not_cause_an_endless_loop(tmp_path: Path, size: int) -> None:
    info = tarfile.TarInfo("a.jpg")
    info.size = size
    path = tmp_path / "s.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096)
    assert len(read(path)) <= 2
    assert isinstance(read(path)[-1].image, ImageError)


def test_a_shard_without_images_is_one_failure(tmp_path: Path) -> None:
    (item,) = read(shard(tmp_path / "s.tar", {"a.txt": b""}))
    assert "no images in the shard" in str(item.image)


# 50,000: one name that is kept for each member, 57 bytes with its place in a list, is more than the limit.
@pytest.mark.parametrize("members", [20_000, pytest.param(50_000, marks=pytest.mark.full)])
def test_memory_does_not_grow_with_the_number_of_members(members: int, tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("needs the peak memory of a process in /proc")
    for number in range(10):
        shard(tmp_path / f"{number}.tar", {f"{number}/{n:05}.ppm": b"P6 1 1 255\nabc" for n in range(members // 10)})
    # In another process: writing the shards has raised the peak of this one (ru_maxrss is inherited).
    done = subprocess.run([sys.executable, "-c", READ_ALL, str(tmp_path)], capture_output=True, text=True, check=True)
    count, grown = map(int, done.stdout.split())
    assert count == members
    assert grown < 2_000  # kilobytes
