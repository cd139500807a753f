"""Class names of a configuration: what is written to a labels file is read back the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.hub.class_names import background_of, described_names, labels_of, numbered_names
from ov_mobilenet.hub.documents import JsonDocument
from ov_mobilenet.zoo.labels import imagenet_classes, imagenet_synsets, read_labels

DOCUMENT = JsonDocument(Path("config.json"), {})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("cat", "dog"), ("cat", "dog")),
        (("crane", "crane"), ("crane", "crane")),  # ImageNet has names twice, too
        (("a\nb", " c\td ", "e\x00f", "\u2028g"), ("a b", "c d", "ef", "g")),
        (("", "\n", "x"), ("class 0", "class 1", "x")),
        (("\ufeffa", "b\x85c", "d\x1b[31m"), ("a", "b c", "d[31m")),
        (("tench, Tinca tinca", "goldfish"), ("tench, Tinca tinca", "goldfish")),
        (("n01440764 tench, Tinca tinca", "n01443537 goldfish"), ("tench", "goldfish")),
    ],
)
def test_names_as_a_labels_file_holds_them(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert labels_of(names, DOCUMENT, "id2label") == expected


@settings(max_examples=25)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_any_names_are_read_back_the_same(names: list[str]) -> None:
    import tempfile

    found = labels_of(tuple(names), DOCUMENT, "label_names")
    assert isinstance(found, tuple) and len(found) == len(names)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labels.txt"
        file.write_text("".join(f"{name}\n" for name in found), "utf-8", newline="\n")
        assert read_labels(file) == found


def test_imagenet_only_if_the_names_say_so() -> None:
    names = imagenet_classes(background=False)
    assert labels_of(names, DOCUMENT, "id2label") == "imagenet_1000_classes"
    assert labels_of(imagenet_synsets(), DOCUMENT, "label_names") == "imagenet_1000_classes"
    long = tuple(f"{name}, and another name" for name in names)
    assert labels_of(long, DOCUMENT, "id2label") == "imagenet_1000_classes"
    assert labels_of(("background", *long), DOCUMENT, "id2label") == "imagenet_1001_classes"
    others = ("pigeon", *names[1:])
    assert labels_of(others, DOCUMENT, "id2label") == others
    named = labels_of(("Background", *others), DOCUMENT, "id2label")
    assert background_of(named) == 0 and background_of(others) is None
    assert background_of(("background", "cat")) is None  # a class of its own in a network of two


def test_names_by_index() -> None:
    assert numbered_names({"0": "a", "2": 7}, 3, DOCUMENT, "label_names") == ("a", "class 1", "7")
    unnamed: tuple[list[str] | dict[str, str] | None, ...] = (None, [], {}, ["LABEL_0", "LABEL_1"])
    for nothing in unnamed:
        assert numbered_names(nothing, 2, DOCUMENT, "label_names") is None
    assert numbered_names(["LABEL_1", "LABEL_0"], 2, DOCUMENT, "label_names") == ("LABEL_1", "LABEL_0")
    for wrong in ({"-1": "a"}, {"x": "a"}, {"1e0": "a"}, {"99999999999": "a"}, ["a"], "ab", 5):
        with pytest.raises(ConfigError, match=r"config.json: label_names"):
            numbered_names(wrong, 2, DOCUMENT, "label_names")


def test_descriptions_replace_wordnet_ids_only() -> None:
    descriptions = {"n01440764": "tench, Tinca tinca", "cat": "a small animal"}
    assert described_names(("n01440764", "n01443537"), descriptions) == ("tench", "n01443537")
    assert described_names(("cat", "dog"), descriptions) == ("cat", "dog")
