"""The rules of the Open Model Zoo demos' classification wrapper, applied to our IRs.

The demos cannot be imported with the current OpenVINO, so the steps of their wrapper are written down here and
implemented with numpy:

1. The network has one input and one output. The layout of the input is what the IR says.
2. The output has two dimensions, or four of which the last two are 1; the second one is the number of classes.
3. A line of a label file has a word (a synset), a blank, and names separated by commas: the label is what stands
   between the first blank and the first comma. A line without a blank is refused.
4. There are as many labels as classes. With one label fewer, `other` is put in front. Any other number is refused.
5. The k greatest values of the output are the scores. A softmax is taken over these k alone, which gives 1.0 for k = 1:
   by the wrapper of 2021 where the network holds no Softmax, by that of 2024 where the output does not add up to 1
   within 0.01.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.ir.record import read_record
from ov_mobilenet.zoo import labels

SYNSETS = Path(labels.__file__).with_name("imagenet_classes.tsv")
FRAMES = small.frames(6)


class Refused(Exception):
    """The wrapper does not accept a network or labels."""


def names_of_label_file(path: Path) -> list[str]:
    names = []
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if " " not in line:
            raise Refused(f"label file: {line}")
        names.append(line[line.find(" ") + 1 : line.find(",")])
    return names


def classes_of(network: ov.Model) -> int:
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise Refused(f"{len(network.inputs)} inputs, {len(network.outputs)} outputs")
    shape = list(network.output().shape)
    if len(shape) not in (2, 4) or any(size != 1 for size in shape[2:]):
        raise Refused(f"output {shape}")
    return int(shape[1])


def fitted(names: Sequence[str], classes: int) -> list[str]:
    names = ["other", *names] if len(names) + 1 == classes else list(names)
    if len(names) != classes:
        raise Refused(f"{len(names)} labels for {classes} classes")
    return names


def demo(xml: Path, frame: np.ndarray, names: Sequence[str], top_k: int, year: int) -> list[tuple[int, str, float]]:
    """The output of the demo for a uint8 (32, 32, 3) BGR frame: class, label, score."""
    network = ov.Core().read_model(xml)
    names = fitted(names, classes_of(network))
    layout = str(network.get_parameters()[0].layout)
    tensor = frame.transpose(2, 0, 1)[None] if layout == "[N,C,H,W]" else frame[None]
    compiled = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    output = compiled(tensor.astype(np.float32))[0].squeeze()
    best = np.argsort(-output)[:top_k]
    scores = output[best]
    if year == 2021:
        softmax = "Softmax" not in {node.get_type_name() for node in network.get_ops()}
    else:
        softmax = not np.isclose(output.sum(), 1.0, atol=0.01)
    if softmax:
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
    return [(int(index), names[index], float(score)) for index, score in zip(best, scores, strict=True)]


@pytest.fixture(scope="module")
def irs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """FP32 IRs of a 1000-class network that ends in logits, and of a 1001-class one that ends in softmax."""
    out = tmp_path_factory.mktemp("wrapper")
    made = {}
    for classes, end in ((1000, "logits"), (1001, "softmax")):
        extra = f"ov_mobilenet: {{labels: imagenet_{classes}_classes, classes: {classes}}}\n"
        yml = small.write_onnx(out / str(classes), classes=classes, end=end, extra=extra)
        sources = ovm.download(ovm.load_config(yml), out / "dl" / str(classes), cache_root=out / "cache")
        made[classes] = ovm.convert(sources, out / "ir" / str(classes), precisions=("FP32",))[0].xml
    return made


@pytest.fixture(scope="module")
def label_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1000 lines in the form of the demos' `imagenet_2012.txt`: synset, blank, names."""
    path = tmp_path_factory.mktemp("labels") / "imagenet_2012.txt"
    rows = [line.split("\t") for line in SYNSETS.read_text("utf-8").splitlines()]
    path.write_text("".join(f"{synset} {name}, another name\n" for synset, name in rows), "utf-8")
    return path


@pytest.mark.parametrize("year", [2021, 2024])
@pytest.mark.parametrize("top_k", [1, 5])
@pytest.mark.parametrize("classes", [1000, 1001])
def test_the_demo_gives_the_same_classes_and_probabilities(
    classes: int, top_k: int, year: int, irs: dict[int, Path], label_file: Path
) -> None:
    ours = labels.imagenet_classes(background=classes == 1001)
    for frame in FRAMES:
        expected = small.by_hand(frame, classes=classes)
        answer = demo(irs[classes], frame, names_of_label_file(label_file), top_k, year)
        assert [class_id for class_id, _, _ in answer] == list(np.argsort(-expected)[:top_k])
        for class_id, label, score in answer:
            assert score == pytest.approx(expected[class_id], abs=3e-5)
            assert label == (ours[class_id] if class_id or classes == 1000 else "other")


def test_the_sample_scores_are_below_one() -> None:
    # Otherwise a softmax over one score, which gives 1.0, would not be detected.
    assert min(small.by_hand(frame, classes=classes).max() for frame in FRAMES for classes in (1000, 1001)) < 0.9


def test_the_background_class_is_where_the_demo_inserts_other(irs: dict[int, Path], label_file: Path) -> None:
    xml = irs[1001]
    network = ov.Core().read_model(xml)
    record = read_record(network, xml)
    assert record is not None
    assert record.labels is not None
    names = fitted(names_of_label_file(label_file), classes_of(network))
    assert names.index("other") == record.background_class == 0
    assert tuple(names[1:]) == record.labels[1:]


@pytest.mark.parametrize("classes", [1000, 1001])
def test_the_labels_of_the_ir_are_accepted(classes: int, irs: dict[int, Path]) -> None:
    network = ov.Core().read_model(irs[classes])
    names = network.get_rt_info(["model_info", "labels"]).astype(str).split()
    assert fitted(names, classes_of(network)) == names


@pytest.mark.shared
def test_the_label_file_of_the_demos_has_the_same_names(shared: Path) -> None:
    names = names_of_label_file(shared / "labels" / "imagenet_2012.txt")
    assert tuple(names) == labels.imagenet_classes(background=False)
