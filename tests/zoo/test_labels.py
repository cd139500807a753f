"""Class names and the background class."""

from __future__ import annotations

from pathlib import Path

import pytest
from zoo.descriptions import DescribeModel

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo import labels
from ov_mobilenet.zoo.labels import background_class, config_labels, imagenet_classes, read_labels


def test_imagenet_has_1000_classes_in_the_published_order() -> None:
    names = imagenet_classes(background=False)
    assert len(names) == 1000
    assert names[0] == "tench"
    assert names[2] == "great white shark"
    assert names[281] == "tabby"
    assert names[999] == "toilet tissue"
    assert all(name and name == name.strip() for name in names)


def test_the_background_shifts_every_class_by_one() -> None:
    names = imagenet_classes(background=True)
    assert len(names) == 1001
    assert names[0] == "background"
    assert names[1:] == imagenet_classes(background=False)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\r\ndog", ("cat", "dog")),
        (b"\xef\xbb\xbfcat\ndog\n\n\n", ("cat", "dog")),
        ("  Gämse \nгорилла".encode(), ("Gämse", "горилла")),
        (b"n01440764 tench, Tinca tinca\nn01484850 great white shark, man-eater\n", ("tench", "great white shark")),
        # Only a whole file of synsets is one: names may begin like a synset.
        (b"n01440764 tench, Tinca tinca\ncat, dog\n", ("n01440764 tench, Tinca tinca", "cat, dog")),
        (b"0 Cat\n1 Great dane\n", ("Cat", "Great dane")),
        (b"0:Cat\n1: Dog\n", ("Cat", "Dog")),
        (b"0  Cat\n1  Dog\n", ("Cat", "Dog")),
        (b"0 0 to 5 years\n1 6 to 9 years\n", ("0 to 5 years", "6 to 9 years")),
        # The numbers of all lines must be their own.
        (b"0 to 5 years\n6 to 9 years\n", ("0 to 5 years", "6 to 9 years")),
        (b"1 Cat\n2 Dog\n", ("1 Cat", "2 Dog")),
        (b"0 Cat\nDog\n", ("0 Cat", "Dog")),
        (b"0 Cat\n1st prize\n", ("0 Cat", "1st prize")),
        (b"0 Cat\n1:\n", ("0 Cat", "1:")),
        (b"00 Cat\n01 Dog\n", ("00 Cat", "01 Dog")),
    ],
)
def test_a_labels_file(content: bytes, expected: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    assert read_labels(tmp_path / "names.txt") == expected


@pytest.mark.parametrize(
    "names", [("Cat", "Dog"), ("0 stars", "1 star"), ("0 0 x", "1 1 y"), ("n01440764 tench", "n01484850 shark, white")]
)
def test_the_text_of_labels_is_read_as_the_same_labels(names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text(labels.labels_text(names))
    assert read_labels(tmp_path / "names.txt") == names


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty: expected one name per line"),
        (b"\n \n", "is empty"),
        (b"cat\n\ndog\n", ":2: empty line between labels"),
        (b"\ncat\n", ":1: empty line between labels"),
        (b"n01440764 tench\nn01484850 , shark\n", ":2: empty line between labels"),
        (b"cat\n\x1b[31mdog\n", r":2: control character in a label: got '\x1b'"),
        (b"cat\ndog\x0bhen\n", r":2: control character in a label: got '\x0b'"),
        (b"cat\nbig\tdog\n", r":2: control character in a label: got '\t'"),
        ("cat\ndog\x85hen\n".encode(), r":2: control character in a label: got '\x85'"),
        (b"cat\n\xff\n", "not UTF-8 text: got byte 4"),
        (b"\x89PNG\r\n\x1a\n\x00", "not UTF-8 text"),
    ],
)
def test_a_bad_labels_file_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_labels(tmp_path / "names.txt")
    assert str(tmp_path / "names.txt") in str(caught.value)
    assert words in str(caught.value)


def test_a_labels_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="cannot be read: got No such file"):
        read_labels(tmp_path / "names.txt")
    with pytest.raises(ConfigError, match="cannot be read: got Is a directory"):
        read_labels(tmp_path)
    (tmp_path / "names.txt").write_bytes(b"cat\ndog")
    monkeypatch.setattr(labels, "MAX_LABELS_BYTES", 6)
    with pytest.raises(ConfigError, match="too large: expected at most 6 bytes"):
        read_labels(tmp_path / "names.txt")


OURS = "  labels: imagenet_1000_classes\n"


def test_the_sources_of_labels_in_their_order(
    model_yml: str, accuracy_check_yml: str, describe_model: DescribeModel, tmp_path: Path
) -> None:
    two = model_yml.replace("classes: 1000", "classes: 2").replace(OURS, "")
    info = two.replace("license:", "model_info:\n  labels: [great_white_shark, cat]\nlicense:")
    config = describe_model(info + "  labels: names.txt\n")
    (tmp_path / "net" / "names.txt").write_text("tench\ndog\n")
    assert config_labels(config) == ("tench", "dog")
    assert config_labels(describe_model(info)) == ("great white shark", "cat")
    without = model_yml.replace(OURS, "")
    imagenet = config_labels(describe_model(without))
    assert imagenet is not None and imagenet[0] == "tench"
    other = accuracy_check_yml.replace("name: imagenet_1000_classes", "name: flowers")
    assert config_labels(describe_model(without, other)) is None
    (tmp_path / "net" / "accuracy-check.yml").unlink()
    assert config_labels(describe_model(without, None)) is None


@pytest.mark.parametrize(("classes", "names"), [(1001, 1000), (1000, 1001)])
def test_labels_that_do_not_match_the_classes_are_an_error(
    classes: int, names: int, model_yml: str, describe_model: DescribeModel
) -> None:
    text = model_yml.replace("classes: 1000", f"classes: {classes}").replace("net_1000", f"net_{names}")
    with pytest.raises(
        ConfigError, match=f"labels does not match the number of classes: expected {classes}, got {names}"
    ):
        config_labels(describe_model(text))


def test_background_class(model_yml: str, accuracy_check_yml: str, describe_model: DescribeModel) -> None:
    assert background_class(describe_model()) is None
    thousand_one = accuracy_check_yml.replace("imagenet_1000_classes", "imagenet_1001_classes")
    assert background_class(describe_model(model_yml.replace(OURS, ""), thousand_one)) == 0
    assert background_class(describe_model(model_yml.replace("_1000_classes", "_1001_classes"))) == 0
    assert background_class(describe_model(model_yml.replace(OURS, "  background_class: 7\n"), thousand_one)) == 7
