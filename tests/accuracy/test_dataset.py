"""Labelled datasets: class folders, val.txt, CSV files, and the errors in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ov_mobilenet.accuracy.classes import ClassMapping
from ov_mobilenet.accuracy.dataset import Dataset, Subset, read_dataset
from ov_mobilenet.errors import DatasetError, UsageError
from ov_mobilenet.zoo.labels import imagenet_classes

SIGNS = ClassMapping(4, None, ("stop red", "stop blue", "crane", "crane"))
IMAGENET = ClassMapping(1000, None, imagenet_classes(background=False))
WITH_BACKGROUND = ClassMapping(1001, 0, imagenet_classes(background=True))


def folder_of(root: Path, *files: str) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def pairs(dataset: Dataset) -> list[tuple[str, int]]:
    return [(image.name, image.index) for image in dataset.images]


def annotated(root: Path, text: str, name: str = "list.txt", classes: ClassMapping = SIGNS) -> Dataset:
    path = root / name
    path.write_text(text, "utf-8")
    return read_dataset(root, classes, path)


@pytest.mark.parametrize("classes", [IMAGENET, WITH_BACKGROUND])
def test_folders_by_synset_number_and_name(classes: ClassMapping, tmp_path: Path) -> None:
    # In ImageNet, tench is class 0 (n01440764), great white shark 2 (n01484850), toilet tissue 999; no background.
    folder_of(tmp_path, "n01484850/a.JPEG", "0/b.png", "0999/deep/c.jpg", "great_white_shark/d.webp")
    folder_of(tmp_path, "n01484850/notes.txt", ".hidden/e.jpg", "empty/notes.txt")
    found = pairs(read_dataset(tmp_path, classes))
    assert found == [("0/b.png", 0), ("0999/deep/c.jpg", 999), ("great_white_shark/d.webp", 2), ("n01484850/a.JPEG", 2)]


def test_a_background_class_shifts_class_numbers() -> None:
    assert [WITH_BACKGROUND.to_network(index) for index in (0, 999)] == [1, 1000]
    assert [WITH_BACKGROUND.to_dataset(class_id) for class_id in (0, 1, 1000)] == [None, 0, 999]
    last = ClassMapping(5, 4, None)
    assert [last.to_network(index) for index in (0, 3)] == [0, 3]
    assert [last.to_dataset(class_id) for class_id in (0, 3, 4)] == [0, 3, None]


def test_up_to_five_unknown_folder_names_are_listed(tmp_path: Path) -> None:
    folder_of(tmp_path, *(f"nothing{n}/a.jpg" for n in range(7)), "stop red/a.jpg")
    with pytest.raises(DatasetError) as caught:
        read_dataset(tmp_path, SIGNS)
    text = str(caught.value)
    assert [f"nothing{n}" in text for n in range(7)] == [True] * 5 + [False] * 2
    assert "and 2 more" in text
    assert "stop red" not in text


def test_a_name_shared_by_two_classes_is_ambiguous(tmp_path: Path) -> None:
    folder_of(tmp_path, "crane/a.jpg")
    with pytest.raises(DatasetError, match=r"'crane' is ambiguous: 2 \(crane\), 3 \(crane\)"):
        read_dataset(tmp_path, SIGNS)


def test_a_number_that_is_the_name_of_another_class_is_ambiguous(tmp_path: Path) -> None:
    folder_of(tmp_path, "1/a.jpg")
    assert pairs(read_dataset(tmp_path, ClassMapping(2, None, ("0", "1")))) == [("1/a.jpg", 1)]
    with pytest.raises(DatasetError, match=r"'1' is ambiguous: 0 \(1\), 1 \(0\)"):
        read_dataset(tmp_path, ClassMapping(2, None, ("1", "0")))


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, "a.jpg")
    with pytest.raises(
        DatasetError, match=r"one folder per class, named by a number from 0 to 3, a class name.*--annotations"
    ):
        read_dataset(tmp_path, SIGNS)
    with pytest.raises(UsageError, match="no such folder"):
        read_dataset(tmp_path / "missing", SIGNS)


def test_val_txt_in_the_dataset_folder_and_names_with_blanks(tmp_path: Path) -> None:
    folder_of(tmp_path, "images/b.jpg")
    (tmp_path / "val.txt").write_bytes("\ufeffb.jpg 3\r\n\r\nmy cat.jpg\t0\n".encode())
    found = read_dataset(tmp_path, SIGNS)
    assert pairs(found) == [("b.jpg", 3), ("my cat.jpg", 0)]
    assert [image.path for image in found.images] == [tmp_path / "images" / n for n in ("b.jpg", "my cat.jpg")]


@pytest.mark.parametrize(
    "text",
    [
        'filename,label\na.jpg,stop blue\n"b, c.jpg",0\n',
        '\ufeffid,Path,other,class_id\n1,a.jpg,x,1\n2,"b, c.jpg",y,0\n',
        'image,class,class_id\na.jpg,crane,1\n"b, c.jpg",crane,0\n',  # class_id takes precedence over class
        'a.jpg,1\r\n"b, c.jpg",stop_red\r\n',
    ],
)
def test_csv_annotations(text: str, tmp_path: Path) -> None:
    assert pairs(annotated(tmp_path, text, "list.CSV")) == [("a.jpg", 1), ("b, c.jpg", 0)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "a.jpg 0\nb.jpg 4\n", r"line 2: '4' is not a class"),
        ("a.txt", "a.jpg 0\nb.jpg -1\n", r"line 2: '-1' is not a class"),
        ("a.txt", "a.jpg\n", r"a\.txt:1: incomplete annotation"),
        ("a.txt", "a.jpg 0\nb.jpg 1\na.jpg 1\n", r"lines 1 and 3: two classes for a\.jpg"),
        ("a.txt", "\n", "lists no images"),
        ("a.csv", "image,class\na.jpg,9\n", r"line 2: '9' is not a class"),
        ("a.csv", "image,class\na.jpg,\n", r"a\.csv:2: incomplete annotation"),
        ("a.csv", "a.jpg,1,2\n", r"a\.csv:1: cannot tell which columns"),
        ("a.csv", 'image,class\n"a.jpg,1\n', r"a\.csv:.*not a CSV file"),
    ],
)
def test_mistakes_in_annotations_name_their_line(name: str, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=words):
        annotated(tmp_path, text, name)


def test_annotations_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_bytes(b"a.jpg \xff\n")
    with pytest.raises(DatasetError, match="not UTF-8 text: got byte 6"):
        read_dataset(tmp_path, SIGNS)


def test_a_repeated_annotation_is_used_once(tmp_path: Path) -> None:
    found = annotated(tmp_path, "a.jpg 0\nb.jpg 1\na.jpg 0\n./a.jpg 0\n")
    assert pairs(found) == [("a.jpg", 0), ("b.jpg", 1)]
    assert found.duplicates == 2


def test_a_sample_is_reproducible_and_contains_every_smaller_sample(tmp_path: Path) -> None:
    dataset = annotated(tmp_path, "".join(f"{n:03}.jpg {n % 4}\n" for n in range(200)))

    def sample(count: int, seed: int = 0) -> list[tuple[str, int]]:
        return pairs(Subset(sample=count, seed=seed).of(dataset))

    ten, twenty = sample(10), sample(20)
    assert len(ten) == 10
    assert set(ten) < set(twenty)
    assert ten == sorted(ten)
    assert ten == sample(10)
    assert ten != sample(10, seed=1)
    assert ten != pairs(dataset)[:10]
    assert Subset(sample=500).of(dataset) is dataset
    # The names are fixed, so that a figure measured today can be measured again with another version.
    assert [name for name, _ in sample(3)] == ["000.jpg", "096.jpg", "121.jpg"]


def test_a_limit_takes_the_first_images(tmp_path: Path) -> None:
    dataset = annotated(tmp_path, "".join(f"{n:03}.jpg {n % 4}\n" for n in (5, 3, 9, 1)))
    assert [name for name, _ in pairs(Subset(limit=2, seed=7).of(dataset))] == ["005.jpg", "003.jpg"]
    assert Subset(limit=4).of(dataset) is dataset
    assert Subset().of(dataset) is dataset


@pytest.mark.parametrize(
    ("limit", "sample", "message"),
    [(0, None, "invalid limit"), (None, 0, "invalid sample"), (2, 2, "limit and sample exclude each other")],
)
def test_subsets_out_of_range_are_refused(limit: int | None, sample: int | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Subset(limit=limit, sample=sample)
