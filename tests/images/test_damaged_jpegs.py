"""JPEGs with holes, false ends and too many scans are refused or reported; valid ones never are."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import jpeg_files
import numpy as np
import pytest
from inputs.media import shard
from jpeg_files import HOLES, KINDS, cut, encode, photo, pixels
from known_network import Known
from PIL import Image

import ov_mobilenet as ovm
from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.load_image import DECODE_MODES, load_image
from ov_mobilenet.inputs.open_inputs import open_inputs
from ov_mobilenet.zoo.geometry import Library, parse_geometry

READERS: tuple[Library, ...] = ("opencv", "pillow")
V2 = parse_geometry("resize 256 greater pillow, crop 224")


def outcome(data: bytes, reader: Library = "opencv") -> str:
    try:
        return "reported" if load_image(data, None, reader=reader).flaws else "accepted"
    except ImageError as error:
        assert str(error).startswith("broken image (")
        return "refused"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_part_with_an_end_marker_is_refused(kind: str, reader: Library) -> None:
    mode, options = KINDS[kind]
    for seed in range(10):
        data = encode(photo(np.random.default_rng(seed)), mode, **options)
        for share in (0.0, 0.25, 0.5, 0.9, 0.99):
            found = outcome(cut(data, share), reader)
            # A progressive JPEG may hold all rows, of which the details are missing.
            assert found == "refused" or ("progressive" in kind and found == "reported"), (seed, share)


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("kind", KINDS)
def test_forty_of_forty_holes_are_refused_or_reported(kind: str, hole: str) -> None:
    mode, options = KINDS[kind]
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(40):
        data = encode(photo(rng), mode, **options)
        start, end = pixels(data)
        at, size = rng.uniform(0.1, 0.8), rng.uniform(0.01, 0.2)
        damaged = HOLES[hole](data, start + int((end - start) * at), 64 + int((end - start) * size))
        found += outcome(damaged) != "accepted"
    # The last scans of a progressive JPEG have few bits for each block: the rest can end within libjpeg's buffer of
    # 8 bytes, of which it does not notice that it is left over.
    assert found >= (36 if (kind, hole) == ("progressive", "bytes removed") else 40)


def test_a_hole_is_found_in_every_decode_mode() -> None:
    data = encode(photo(np.random.default_rng(1), 1200, 1100))
    for decode in DECODE_MODES:
        with pytest.raises(ImageError, match="^broken image"):
            load_image(cut(data, 0.5), V2, decode)


def valid_jpegs() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(2)
    image = photo(rng)
    images = {
        "photo": image,
        "white": np.full((300, 400, 3), 255, np.uint8),
        "sky": np.repeat(np.linspace(90, 200, 300).astype(np.uint8)[:, None, None], 400, 1).repeat(3, 2),
        "noise": rng.integers(0, 256, (90, 70, 3), dtype=np.uint8),
        "one pixel": image[:1, :1],
        "one row": image[:1],
        "odd": image[:9, :17],
    }
    for name, frame in images.items():
        for kind, (mode, options) in KINDS.items():
            for more in ({}, {"quality": 5}, {"quality": 100, "subsampling": 0}, {"quality": 95, "subsampling": 1}):
                yield f"{name}, {kind}, {more}", encode(frame, mode, **options, **more)
        for factor in (0x411111, 0x221111, 0x121111, 0x111111):
            flags = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
            yield f"{name}, OpenCV, {factor:x}", cv2.imencode(".jpg", frame, flags)[1].tobytes()
    exif = Image.Exif()
    exif[0x9286] = encode(image[:60, :80], progressive=True) + bytes(300)
    thumbnail = encode(image, exif=exif)
    yield "thumbnail", thumbnail
    yield "zeros in a header", encode(image, icc_profile=bytes(5000))
    for kind, (mode, options) in KINDS.items():
        data = encode(image, mode, **options)
        yield f"{kind}, bytes after the end", data + bytes(500) + b"\xff\xda" * 200 + thumbnail[:-900]
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "MPO", save_all=True, append_images=[Image.fromarray(image[:50])] * 3)
    yield "MPO", buffer.getvalue()


def test_no_valid_jpeg_is_refused_or_reported() -> None:
    for name, data in valid_jpegs():
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[:, :, ::-1]
        for reader in READERS:
            loaded = load_image(data, None, reader=reader)
            assert loaded.flaws == (), name
            # OpenCV and Pillow convert CMYK by slightly different formulas.
            assert np.abs(loaded.frame.astype(int) - expected).max() <= (4 if "CMYK" in name else 0), name


@pytest.mark.shared
def test_no_real_photo_is_refused_or_reported(shared: Path) -> None:
    files = sorted((shared / "imagenet200" / "images").iterdir())
    assert len(files) == 200
    assert [file.name for file in files if load_image(file, V2).flaws] == []


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"CMYK"}))
def test_a_harmless_flaw_does_not_hide_damage(kind: str) -> None:
    # libjpeg reports only its first warning, here of a JFIF version that it does not know.
    mode, options = KINDS[kind]
    data = encode(photo(np.random.default_rng(3)), mode, **options)
    strange = data[:11] + b"\x03" + data[12:]
    assert outcome(strange) == ("reported" if "progressive" in kind else "accepted")
    assert np.array_equal(read_image(strange), read_image(data))
    for share in (0.25, 0.9):
        assert outcome(cut(strange, share)) == ("reported" if "progressive" in kind else "refused")


def test_bytes_between_the_pixels_and_the_end_are_reported() -> None:
    data = encode(photo(np.random.default_rng(3)), restart_marker_blocks=20)
    (flaw,) = load_image(data[:-2] + bytes(12) + jpeg_files.END, None).flaws
    assert flaw.startswith("flaw in the JPEG: Corrupt JPEG data: ") and "extraneous bytes before marker 0xd9" in flaw
    restart = data.index(b"\xff\xd3")
    inside = data[:restart] + bytes(20) + data[restart:]
    assert outcome(inside) == "reported"
    assert outcome(cut(inside, 0.7)) == "refused"


def test_a_missing_colour_component_is_refused() -> None:
    data = encode(photo(np.random.default_rng(4)))
    start, end = pixels(data)
    header = data.index(b"\xff\xda")
    grey = b"\xff\xda\x00\x08\x01" + data[header + 5 : header + 7] + data[start - 3 : start]
    for scans in (grey + data[start:end], 2 * (grey + data[start:end])):
        with pytest.raises(ImageError, match="a colour component is missing"):
            read_image(data[:header] + scans + jpeg_files.END)


def test_missing_details_are_reported() -> None:
    data = encode(photo(np.random.default_rng(4)), progressive=True)
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    for kept in range(1, len(scans)):
        tables = (
            data.rindex(b"\xff\xc4", 0, scans[kept])
            if b"\xff\xc4" in data[scans[kept - 1] : scans[kept]]
            else scans[kept]
        )
        coarse = data[:tables] + jpeg_files.END
        (flaw,) = load_image(coarse, None).flaws
        assert flaw == "the last scans of the JPEG are missing: the image is coarse"


@pytest.mark.parametrize("reader", READERS)
def test_scans_are_limited(reader: Library) -> None:
    with pytest.raises(
        ImageError, match="too many scans in the JPEG to decode it safely: expected at most 100 for 64x"
    ):
        read_image(jpeg_files.scans(2000), reader)
    assert read_image(jpeg_files.scans(50), reader).shape == (64, 64, 3)


def test_the_limit_depends_on_the_size() -> None:
    data = jpeg_files.scans(70)
    size = data.index(b"\xff\xc2") + 5
    large = data[:size] + 2 * (6000).to_bytes(2, "big") + data[size + 4 :]
    with pytest.raises(ImageError, match="expected at most 69 for 6000x6000"):
        read_image(large)


def test_scans_behind_a_marker_that_libjpeg_skips_are_counted() -> None:
    # libjpeg looks for a restart marker and skips only the two bytes of a marker that does not exist.
    with pytest.raises(ImageError, match="too many scans"):
        read_image(jpeg_files.scans(2000, hide=b"\xff\x02\xff\xff"))


@pytest.mark.parametrize("where", ["file", "shard"])
def test_results_name_the_damaged_image(
    known: Known, where: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = encode(photo(np.random.default_rng(6)))
    images = {"whole.jpg": whole, "cut.jpg": cut(whole, 0.25), "strange.jpg": whole[:-2] + bytes(20) + jpeg_files.END}
    for name, data in images.items():
        (tmp_path / name).write_bytes(data)
    inputs = [tmp_path / name for name in images] if where == "file" else [shard(tmp_path / "shard.tar", images)]
    with caplog.at_level(logging.WARNING), open_inputs(inputs) as items:
        results = list(ovm.load_classifier(known.xml, device="CPU").stream(items))
    assert [type(result).__name__ for result in results] == ["Classification", "Failure", "Classification"]
    assert results[1].source.endswith("cut.jpg")
    assert "truncated" in getattr(results[1], "error", "")
    (line,) = [record.getMessage() for record in caplog.records if "JPEG" in record.getMessage()]
    assert line.startswith(f"{inputs[-1]}") and "strange.jpg: flaw in the JPEG: " in line
    assert getattr(results[0], "top_k", 0) == getattr(results[2], "top_k", 1)
