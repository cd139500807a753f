"""Geometry from words and from accuracy-check files."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ov_mobilenet.errors import UsageError
from ov_mobilenet.zoo.geometry import (
    Crop,
    Geometry,
    Resize,
    channel_order,
    check_steps,
    describe,
    from_dataset,
    parse_words,
    whole,
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
def test_what_is_described_is_read_back(steps):
    assert parse_words(describe(Geometry(steps=tuple(steps)))).steps == tuple(steps)


@given(st.text("resizcroplw 0123456789.x,", max_size=40))
def test_any_words_are_understood_or_a_usage_error(text):
    try:
        geometry = parse_words(text)
    except UsageError as error:
        assert "geometry not understood" in str(error)
    else:
        assert parse_words(str(geometry)) == geometry


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
def test_words(words, steps, reader):
    assert parse_words(words) == Geometry(steps=steps, reader=reader)


@pytest.mark.parametrize("words", ["crop 0.875, resize 224", "resize 256 greater pillow, crop 224", "resize 96x128"])
def test_words_in_their_shortest_form_are_described_alike(words):
    assert str(parse_words(words)) == words


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
def test_an_error_names_the_part(words, part, why):
    with pytest.raises(UsageError) as caught:
        parse_words(words)
    message = str(caught.value)
    assert f"got {part}" in message
    assert why in message
    assert "resize 256 greater pillow, crop 224" in message
    assert caught.value.exit_code == 2


def test_whole_is_one_resize():
    assert whole(128, 96) == parse_words("resize 128x96")


@pytest.fixture
def dataset(model_yml, accuracy_check_yml, describe_model):
    def of(*steps, reader="opencv_imread"):
        start, end = accuracy_check_yml.index("        reader"), accuracy_check_yml.index("        metrics")
        listed = "".join(f"          - {{{step}}}\n" for step in steps)
        text = f"        reader: {reader}\n        preprocessing:\n{listed}" if steps else f"        reader: {reader}\n"
        check = accuracy_check_yml[:start] + text + accuracy_check_yml[end:]
        return describe_model(model_yml, check).accuracy_check.converted

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
def test_geometry_of_a_dataset(steps, words, dataset):
    assert describe(from_dataset(dataset(*steps))) == words


def test_the_reader_decodes(dataset):
    assert from_dataset(dataset("type: resize, size: 8", reader="pillow_imread")).reader == "pillow"
    assert from_dataset(dataset("type: resize, size: 8, use_pillow: true")).reader == "opencv"


def test_a_dataset_without_geometry_has_none(dataset):
    assert from_dataset(dataset()) is None
    assert from_dataset(dataset("type: bgr_to_rgb", "type: normalization, std: 255")) is None


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
def test_channel_order(reader, steps, order, dataset):
    assert channel_order(dataset(*steps, reader=reader)) == order


def test_steps_of_normalisation_may_hold_one_number_or_three(dataset):
    steps = ['type: normalization, mean: "(0.485, 0.456, 0.406)", std: [1, 2, 3]', "type: normalization, mean: 127.5"]
    assert check_steps(dataset(*steps).preprocessing) is None
