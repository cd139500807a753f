"""Geometry from words and from accuracy-check files."""

from __future__ import annotations

from typing import Protocol

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zoo.descriptions import DescribeModel

from ov_mobilenet.errors import UsageError
from ov_mobilenet.zoo.accuracy_check import DatasetConfig
from ov_mobilenet.zoo.geometry import (
    Crop,
    Geometry,
    Library,
    Resize,
    channel_order,
    check_steps,
    geometry_of_dataset,
    geometry_text,
    parse_geometry,
    resize_whole_image,
)

SIDES = st.integers(1, 8192)
LIBRARIES = st.sampled_from(["opencv", "pillow"])
RESIZES = st.builds(
    Resize,
    height=SIDES,
    width=SIDES,
    keep_aspect=st.booleans(),
    library=LIBRARIES,
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)
CROPS = st.one_of(
    st.builds(Crop, height=SIDES, width=SIDES, library=LIBRARIES),
    st.builds(Crop, fraction=st.floats(0.0, 1.0, exclude_min=True), library=LIBRARIES),
)


@given(st.lists(st.one_of(RESIZES, CROPS), min_size=1, max_size=5))
@example([Crop(fraction=1.0)])
@example([Crop(fraction=1e-5)])
@example([Resize(height=8, width=8, library="pillow"), Crop(height=8, width=8, library="opencv")])
def test_a_geometry_round_trips_through_text(steps: list[Resize | Crop]) -> None:
    assert parse_geometry(geometry_text(Geometry(steps=tuple(steps)))).steps == tuple(steps)


@given(st.text("resizcroplw 0123456789.x,", max_size=40))
def test_any_text_parses_or_raises_a_usage_error(text: str) -> None:
    try:
        geometry = parse_geometry(text)
    except UsageError as error:
        assert "invalid geometry" in str(error)
    else:
        assert parse_geometry(str(geometry)) == geometry


@pytest.mark.parametrize(
    ("words", "steps", "reader"),
    [
        ("crop 0.875, resize 224", (Crop(fraction=0.875), Resize(height=224, width=224)), "opencv"),
        (
            "resize 256 greater pillow, crop 224",
            (
                Resize(height=256, width=256, keep_aspect=True, library="pillow"),
                Crop(height=224, width=224, library="pillow"),
            ),
            "pillow",
        ),
        ("resize 256, crop 224", (Resize(height=256, width=256), Crop(height=224, width=224)), "opencv"),
        ("RESIZE  96x128 Bicubic", (Resize(height=96, width=128, interpolation="bicubic"),), "opencv"),
        (
            "resize 64 pillow, resize 32 opencv",
            (Resize(height=64, width=64, library="pillow"), Resize(height=32, width=32)),
            "pillow",
        ),
        ("crop .5", (Crop(fraction=0.5),), "opencv"),
    ],
)
def test_words(words: str, steps: tuple[Resize | Crop, ...], reader: Library) -> None:
    assert parse_geometry(words) == Geometry(steps=steps, reader=reader)


@pytest.mark.parametrize("words", ["crop 0.875, resize 224", "resize 256 greater pillow, crop 224", "resize 96x128"])
def test_text_in_its_shortest_form_round_trips(words: str) -> None:
    assert str(parse_geometry(words)) == words


@pytest.mark.parametrize(
    ("words", "part", "why"),
    [
        ("", "''", ""),
        ("resize 256,", "''", ""),
        ("resize 256, blur 3", "'blur 3'", ""),
        ("resize", "'resize'", ""),
        ("resize -224", "'resize -224'", ""),
        ("resize 224 x 224", "'resize 224 x 224'", ""),
        ("resize 256 smaller, crop 224", "'resize 256 smaller'", "unknown word 'smaller'"),
        ("resize 0.5", "'resize 0.5'", "only crop takes a fraction"),
        ("crop 1.5, resize 224", "'crop 1.5'", "at most 1"),
        ("crop 0.0", "'crop 0.0'", "above 0"),
        ("crop 0", "'crop 0'", "between 1 and 8192"),
        ("resize 224x0", "'resize 224x0'", "between 1 and 8192"),
        ("resize 8193", "'resize 8193'", "between 1 and 8192"),
        ("resize " + "9" * 5000, "'resize 999", ""),
        ("crop 224 greater", "'crop 224 greater'", "no interpolation and no 'greater'"),
        ("crop 224 bicubic", "'crop 224 bicubic'", "no interpolation"),
    ],
    ids=lambda value: value[:20],
)
def test_an_error_names_the_invalid_step(words: str, part: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_geometry(words)
    message = str(caught.value)
    assert f"got {part}" in message
    assert why in message
    assert "resize 256 greater pillow, crop 224" in message
    assert caught.value.exit_code == 2


def test_whole_is_one_resize() -> None:
    assert resize_whole_image(128, 96) == parse_geometry("resize 128x96")


class MakeDataset(Protocol):
    """The dataset of an accuracy check with these preprocessing steps."""

    def __call__(self, *steps: str, reader: str = "opencv_imread") -> DatasetConfig: ...


@pytest.fixture
def dataset(model_yml: str, accuracy_check_yml: str, describe_model: DescribeModel) -> MakeDataset:
    def of(*steps: str, reader: str = "opencv_imread") -> DatasetConfig:
        start, end = accuracy_check_yml.index("        reader"), accuracy_check_yml.index("        metrics")
        listed = "".join(f"          - {{{step}}}\n" for step in steps)
        text = f"        reader: {reader}\n        preprocessing:\n{listed}" if steps else f"        reader: {reader}\n"
        check = accuracy_check_yml[:start] + text + accuracy_check_yml[end:]
        made = describe_model(model_yml, check).dataset
        assert made is not None
        return made

    return of


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (["type: crop, central_fraction: 0.875", "type: resize, size: 224"], "crop 0.875, resize 224"),
        (["type: resize, size: 256", "type: crop, size: 224"], "resize 256, crop 224"),
        (
            ["type: resize, size: 256, aspect_ratio_scale: greater, use_pillow: true, interpolation: BILINEAR",
             "type: crop, size: 224, use_pillow: true", "type: rgb_to_bgr"],
            "resize 256 greater pillow, crop 224",
        ),
        (["type: resize, dst_height: 96, dst_width: 128, interpolation: CUBIC"], "resize 96x128 bicubic"),
        (["type: crop, dst_width: 128, dst_height: 96", "type: normalization, std: 255"], "crop 96x128"),
        (["type: crop, central_fraction: 1"], "crop 1.0"),
    ],
)  # fmt: skip
def test_geometry_of_a_dataset(steps: list[str], words: str, dataset: MakeDataset) -> None:
    assert str(geometry_of_dataset(dataset(*steps))) == words


def test_the_reader_is_the_library_that_decodes(dataset: MakeDataset) -> None:
    by_pillow = geometry_of_dataset(dataset("type: resize, size: 8", reader="pillow_imread"))
    by_opencv = geometry_of_dataset(dataset("type: resize, size: 8, use_pillow: true"))
    assert by_pillow is not None and by_pillow.reader == "pillow"
    assert by_opencv is not None and by_opencv.reader == "opencv"


def test_a_dataset_without_geometry_has_none(dataset: MakeDataset) -> None:
    assert geometry_of_dataset(dataset()) is None
    assert geometry_of_dataset(dataset("type: bgr_to_rgb", "type: normalization, std: 255")) is None


@pytest.mark.parametrize(
    ("reader", "steps", "order"),
    [
        ("opencv_imread", [], "BGR"),
        ("opencv_imread", ["type: bgr_to_rgb"], "RGB"),
        ("pillow_imread", [], "RGB"),
        ("pillow_imread", ["type: resize, size: 224", "type: rgb_to_bgr"], "BGR"),
        ("pillow_imread", ["type: rgb_to_bgr", "type: bgr_to_rgb"], "RGB"),
    ],
)
def test_channel_order(reader: str, steps: list[str], order: str, dataset: MakeDataset) -> None:
    assert channel_order(dataset(*steps, reader=reader)) == order


def test_normalisation_steps_take_one_or_three_numbers(dataset: MakeDataset) -> None:
    steps = ['type: normalization, mean: "(0.485, 0.456, 0.406)", std: [1, 2, 3]', "type: normalization, mean: 127.5"]
    assert check_steps(dataset(*steps).preprocessing) is None
