"""Which image has which class: folders, val.txt, CSV, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ov_mobilenet.accuracy.classes import Classes
from ov_mobilenet.accuracy.dataset import Dataset, read_dataset, subset
from ov_mobilenet.errors import DatasetError, UsageError
from ov_mobilenet.zoo.labels import imagenet_classes

SIGNS = Classes(4, None, ("stop red", "stop blue", "crane", "crane"))
IMAGENET = Classes(1000, None, imagenet_classes(background=False))
WITH_BACKGROUND = Classes(1001, 0, imagenet_classes(background=True))


def folder_of(root: Path, *files: str) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def pairs(dataset: Dataset) -> list[tuple[str, int]]:
    return [(example.image, example.index) for example in dataset.examples]


def annotated(root: Path, text: str, name: str = "list.txt", classes: Classes = SIGNS) -> Dataset:
    path = root / name
    path.write_text(text, "utf-8")
    return read_dataset(root, classes, path)


@pytest.mark.parametrize("classes", [IMAGENET, WITH_BACKGROUND])
def test_folders_by_synset_number_and_name(classes: Classes, tmp_path: Path) -> None:
    # Facts: tench is class 0 (n01440764), great white shark 2 (n01484850), toilet tissue 999; no background in these.
    folder_of(tmp_path, "n01484850/a.JPEG", "0/b.png", "0999/deep/c.jpg", "great_white_shark/d.webp")
    folder_of(tmp_path, "n01484850/notes.txt", ".hidden/e.jpg", "empty/notes.txt")
    found = pairs(read_dataset(tmp_path, classes))
    assert found == [("0/b.png", 0), ("0999/deep/c.jpg", 999), ("great_white_shark/d.webp", 2), ("n01484850/a.JPEG", 2)]


def test_background_shifts_the_networks_classes_only() -> None:
    assert [WITH_BACKGROUND.to_network(index) for index in (0, 999)] == [1, 1000]
    assert [WITH_BACKGROUND.to_dataset(class_id) for class_id in (0, 1, 1000)] == [None, 0, 999]
    last = Classes(5, 4, None)
    assert [last.to_network(index) for index in (0, 3)] == [0, 3]
    assert [last.to_dataset(class_id) for class_id in (0, 3, 4)] == [0, 3, None]


def test_folders_that_are_no_class_are_named_up_to_five(tmp_path: Path) -> None:
    folder_of(tmp_path, *(f"nothing{n}/a.jpg" for n in range(7)), "stop red/a.jpg")
    with pytest.raises(DatasetError) as caught:
        read_dataset(tmp_path, SIGNS)
    text = str(caught.value)
    assert [f"nothing{n}" in text for n in range(7)] == [True] * 5 + [False] * 2
    assert "and 2 more" in text
    assert "stop red" not in text


def test_a_name_of_two_classes_is_not_guessed(tmp_path: Path) -> None:
    folder_of(tmp_path, "crane/a.jpg")
    with pytest.raises(DatasetError, match=r"'crane' may be 2 \(crane\), 3 \(crane\)"):
        read_dataset(tmp_path, SIGNS)


def test_a_number_that_is_also_another_classes_name_is_not_guessed(tmp_path: Path) -> None:
    folder_of(tmp_path, "1/a.jpg")
    assert pairs(read_dataset(tmp_path, Classes(2, None, ("0", "1")))) == [("1/a.jpg", 1)]
    with pytest.raises(DatasetError, match=r"'1' may be 0 \(1\), 1 \(0\)"):
        read_dataset(tmp_path, Classes(2, None, ("1", "0")))


def test_a_folder_without_classes_says_what_is_expected(tmp_path: Path) -> None:
    folder_of(tmp_path, "a.jpg")
    with pytest.raises(DatasetError, match=r"a folder a class: a number from 0 to 3, a class name.*--annotations"):
        read_dataset(tmp_path, SIGNS)
    with pytest.raises(UsageError, match="no such folder"):
        read_dataset(tmp_path / "missing", SIGNS)


def test_val_txt_of_the_folder_itself_and_names_with_blanks(tmp_path: Path) -> None:
    folder_of(tmp_path, "images/b.jpg")
    (tmp_path / "val.txt").write_bytes("\ufeffb.jpg 3\r\n\r\nmy cat.jpg\t0\n".encode())
    found = read_dataset(tmp_path, SIGNS)
    assert pairs(found) == [("b.jpg", 3), ("my cat.jpg", 0)]
    assert [example.path for example in found.examples] == [tmp_path / "images" / n for n in ("b.jpg", "my cat.jpg")]


@pytest.mark.parametrize(
    "text",
    [
        'filename,label\na.jpg,stop blue\n"b, c.jpg",0\n',
        '\ufeffid,Path,other,class_id\n1,a.jpg,x,1\n2,"b, c.jpg",y,0\n',
        'image,class,class_id\na.jpg,crane,1\n"b, c.jpg",crane,0\n',  # the number is clearer than the name
        'a.jpg,1\r\n"b, c.jpg",stop_red\r\n',
    ],
)
def test_csv(text: str, tmp_path: Path) -> None:
    assert pairs(annotated(tmp_path, text, "list.CSV")) == [("a.jpg", 1), ("b, c.jpg", 0)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "a.jpg 0\nb.jpg 4\n", r"line 2: '4' is none"),
        ("a.txt", "a.jpg 0\nb.jpg -1\n", r"line 2: '-1' is none"),
        ("a.txt", "a.jpg\n", r"a\.txt:1: no image and class"),
        ("a.txt", "a.jpg 0\nb.jpg 1\na.jpg 1\n", r"lines 1 and 3: two classes for a\.jpg"),
        ("a.txt", "\n", "name no image"),
        ("a.csv", "image,class\na.jpg,9\n", r"line 2: '9' is none"),
        ("a.csv", "image,class\na.jpg,\n", r"a\.csv:2: no image and class"),
        ("a.csv", "a.jpg,1,2\n", r"a\.csv:1: which columns"),
        ("a.csv", 'image,class\n"a.jpg,1\n', r"a\.csv:.*not CSV"),
    ],
)
def test_mistakes_in_annotations_name_their_line(name: str, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=words):
        annotated(tmp_path, text, name)


def test_annotations_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_bytes(b"a.jpg \xff\n")
    with pytest.raises(DatasetError, match="not UTF-8 text: got byte 6"):
        read_dataset(tmp_path, SIGNS)


def test_an_image_named_twice_counts_once(tmp_path: Path) -> None:
    found = annotated(tmp_path, "a.jpg 0\nb.jpg 1\na.jpg 0\n./a.jpg 0\n")
    assert pairs(found) == [("a.jpg", 0), ("b.jpg", 1)]
    assert found.duplicates == 2


def test_a_subset_is_the_same_every_time_and_grows(tmp_path: Path) -> None:
    dataset = annotated(tmp_path, "".join(f"{n:03}.jpg {n % 4}\n" for n in range(200)))
    ten, twenty = pairs(subset(dataset, 10, 0)), pairs(subset(dataset, 20, 0))
    assert len(ten) == 10
    assert set(ten) < set(twenty)
    assert ten == sorted(ten)
    assert ten == pairs(subset(dataset, 10, 0))
    assert ten != pairs(subset(dataset, 10, 1))
    assert ten != pairs(dataset)[:10]
    assert subset(dataset, 500, 0) is dataset
    # The very images, so that a figure measured today can be measured again with another version.
    assert [name for name, _ in pairs(subset(dataset, 3, 0))] == FIRST_THREE


FIRST_THREE = ["000.jpg", "096.jpg", "121.jpg"]
