"""Tar shards: order, damage in every place, hostile members, memory."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from inputs.media import image, shard

from ov_mobilenet.errors import ImageError
from ov_mobilenet.images import image_files
from ov_mobilenet.inputs.opening import open_inputs
from ov_mobilenet.runtime.items import Item

MEMBERS = {f"{n:04}.{kind}": image(n) if kind == "jpg" else b"7" for n in range(40) for kind in ("jpg", "cls")}
IMAGES = [(name, data) for name, data in MEMBERS.items() if name.endswith("jpg")]

READ_ALL = """
import re, sys
from pathlib import Path
from ov_mobilenet.inputs.opening import open_inputs
def size():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
items = iter(open_inputs(sys.argv[1] + "/*.tar"))
first = [next(items).source for _ in range(1000)]
before = size()
print(len(first) + sum(1 for _ in items), size() - before)
"""


def read(*paths: Path, **options: object) -> list[Item]:
    with open_inputs(paths, **options) as inputs:  # type: ignore[arg-type]
        return list(inputs)


@pytest.mark.parametrize(("name", "mode"), [("s.tar", "w"), ("s.tar.gz", "w:gz"), ("s.tgz", "w:gz"), ("s.tar", "w:gz")])
def test_images_of_a_shard_come_in_order(tmp_path: Path, name: str, mode: str) -> None:
    path = shard(tmp_path / name, MEMBERS, mode)
    assert [(item.source, item.image) for item in read(path)] == [(f"{path}/{n}", data) for n, data in IMAGES]
    assert [item.image for item in read(path, every=9)] == [data for _, data in IMAGES[::9]]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_shard_that_is_cut_off_gives_what_it_had_and_one_failure(tmp_path: Path, mode: str, share: float) -> None:
    whole = shard(tmp_path / "whole.tar", MEMBERS, mode)
    if mode == "w":  # without the zeros at its end
        whole.write_bytes(whole.read_bytes().rstrip(b"\0"))
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    good = shard(tmp_path / "good.tar", {"last.jpg": image()})
    *before, failure, last = read(cut, good)
    assert [item.image for item in before] == [data for _, data in IMAGES[: len(before)]]
    assert failure.source == str(cut)
    assert "the shard cannot be read to its end" in str(failure.image)
    assert last.source == f"{good}/last.jpg"


def test_a_cut_between_two_members_is_seen(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", MEMBERS)
    with tarfile.open(path) as archive:
        end = archive.getmembers()[10].offset
    path.write_bytes(path.read_bytes()[:end])
    *before, failure = read(path)
    assert len(before) == 5
    assert f"it is cut off, at byte {end}" in str(failure.image)


def test_a_header_overwritten_in_the_middle_is_no_silent_end(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", MEMBERS)
    with tarfile.open(path) as archive:
        begin = archive.getmembers()[20].offset
    content = bytearray(path.read_bytes())
    content[begin : begin + 512] = b"\xa5" * 512
    path.write_bytes(content)
    *before, failure = read(path)
    assert len(before) == 10
    assert isinstance(failure.image, ImageError)


def test_a_member_that_is_damaged_is_handed_on_as_it_is(tmp_path: Path) -> None:
    items = read(shard(tmp_path / "s.tar", {"a.jpg": image()[:50], "b.jpg": b"", "c.jpg": image()}))
    assert [item.image for item in items] == [image()[:50], b"", image()]


def test_names_are_only_names_and_only_files_are_read(tmp_path: Path) -> None:
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


def test_a_name_that_is_no_text_is_one_that_json_holds(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        archive.addfile(tarfile.TarInfo("caf\xe9.jpg"))
    (item,) = read(path)
    item.source.encode()
    assert item.source.endswith("caf\\xe9.jpg")


def test_members_that_claim_too_much_are_not_read(tmp_path: Path) -> None:
    huge = tarfile.TarInfo("huge.jpg")
    huge.size = image_files.MAX_FILE_BYTES + 1
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    for info, said in ((huge, "file too large"), (header, "a header that claims")):
        path = tmp_path / "s.tar"
        path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 2048)
        assert said in str(read(path)[0].image)


@pytest.mark.parametrize("size", [-512, -1024, -1])
def test_a_negative_size_is_no_endless_loop(tmp_path: Path, size: int) -> None:
    info = tarfile.TarInfo("a.jpg")
    info.size = size
    path = tmp_path / "s.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096)
    assert len(read(path)) <= 2
    assert isinstance(read(path)[-1].image, ImageError)


def test_a_shard_without_images_says_so(tmp_path: Path) -> None:
    (item,) = read(shard(tmp_path / "s.tar", {"a.txt": b""}))
    assert "no images in the shard" in str(item.image)


def test_a_hundred_thousand_members_of_ten_shards_in_flat_memory(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("needs Linux's figure of a process's greatest size")
    for number in range(10):
        shard(tmp_path / f"{number}.tar", {f"{number}/{n:05}.ppm": b"P6 1 1 255\nabc" for n in range(10_000)})
    # In a process of its own: this one has written them, and its greatest size is behind it (ru_maxrss is inherited).
    done = subprocess.run([sys.executable, "-c", READ_ALL, str(tmp_path)], capture_output=True, text=True, check=True)
    count, grown = map(int, done.stdout.split())
    assert count == 100_000
    assert grown < 2_000  # kilobytes
