"""`convert --source --diagnose-images` and `describe(diagnose_images=)`: images decide what is not said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import batch_norm_networks as networks
import cv2
import numpy as np
import pytest
import small_networks as small
from batch_norm_networks import TRAINED
from signs import held_out

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.zoo.normalisation import Normalisation

Capture = pytest.CaptureFixture[str]
Log = pytest.LogCaptureFixture
EXPORTS = Path(__file__).resolve().parents[1] / "data" / "signs"
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
FRAMES = networks.colour_images()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    return networks.save_images(tmp_path_factory.mktemp("images") / "colour", FRAMES)


def network(folder: Path, trained: str, inside: str | None = None) -> Path:
    return networks.write_network(folder / "net.onnx", TRAINED[trained], FRAMES, inside=inside)


def said(described: ovm.DescribedNetwork) -> dict[str, str]:
    """The guesses about normalisation, channel order and geometry."""
    names = ("normalisation", "channel order", "geometry")
    return {guess.name: str(guess) for guess in described.guesses if guess.name in names}


def baked(described: ovm.DescribedNetwork) -> Normalisation:
    return described.draft.description.normalisation


def rgb(mean: tuple[float, ...], scale: tuple[float, ...]) -> Normalisation:
    return Normalisation(mean=mean, scale=scale, reverse_input_channels=True)


def bgr(mean: tuple[float, ...], scale: tuple[float, ...]) -> Normalisation:
    return Normalisation(mean=mean, scale=scale)


def convert(source: Path, out: Path, *more: str) -> int:
    return main(["convert", "--source", str(source), "--name", "x", "-o", str(out), *more])


# --- nothing is said


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        ("tensorflow RGB", rgb((127.5,), (127.5,))),
        ("torchvision RGB", rgb(MEAN, STD)),
        ("torchvision BGR", bgr(MEAN[::-1], STD[::-1])),
        ("0..1 RGB", rgb((), (255.0,))),
        ("0..255 BGR", bgr((), ())),
        ("caffe BGR", bgr((103.939, 116.779, 123.68), ())),
    ],
)
def test_images_decide_normalisation_and_order(
    trained: str, expected: Normalisation, images: Path, tmp_path: Path, caplog: Log
) -> None:
    described = ovm.describe(network(tmp_path, trained), name="x", diagnose_images=images)
    assert baked(described) == expected
    guesses = said(described)
    name, order = trained.split()
    # The network recorded these images, so nothing is left of the divergence.
    assert guesses["normalisation"].startswith(f"normalisation: {name}, batch-norm statistics 0.000 against ")
    assert ", sure with 20 images (--preset, --mean-values, --scale-values)" in guesses["normalisation"]
    assert f" of {name}," not in guesses["normalisation"]
    assert guesses["channel order"].startswith(f"channel order: {order}, batch-norm statistics 0.000 against ")
    assert guesses["channel order"].endswith(f" (--{'no-' if order == 'RGB' else ''}reverse-input-channels)")
    assert all(guess.changes_answers for guess in described.guesses if guess.name in ("normalisation", "channel order"))
    preset = {"torchvision RGB": "resize 37 greater pillow, crop 32", "tensorflow RGB": "crop 0.875, resize 32"}
    geometry = f"{preset[trained]}, usual with the normalisation {name}" if trained in preset else "the whole image, "
    assert guesses["geometry"].startswith(f"geometry: {geometry}")
    assert "Guessed: normalisation: " in described.model_yml
    assert [record for record in caplog.records if "images" in record.message] == []


def test_the_command_does_the_same_and_writes_what_it_decided(images: Path, tmp_path: Path, capsys: Capture) -> None:
    source = network(tmp_path / "net", "torchvision RGB")
    described = ovm.describe(source, name="x", diagnose_images=[images / "*.png"])
    assert (
        convert(source, tmp_path, "--diagnose-images", str(images), "--precisions", "FP32", "--format", "json", "-q")
        == 0
    )
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert "guess: normalisation: torchvision, batch-norm" in err, "it changes answers, so -q prints it too"
    folder = tmp_path / "public" / "x"
    assert (folder / "model.yml").read_text("utf-8") == described.model_yml
    # The description alone makes the same bytes again, without images.
    (again,) = ovm.convert(folder / "model.yml", tmp_path / "again", precisions=["FP32"])
    assert again.record.normalisation == rgb(MEAN, STD)
    assert again.xml.read_bytes() == Path(rows[0]["xml"]).read_bytes()

    assert convert(source, tmp_path / "dry", "--diagnose-images", str(images), "--dry-run") == 0
    assert capsys.readouterr().out.count("--scale_values=[58.395,57.12,57.375]") == 1
    assert not (tmp_path / "dry").exists()


def test_mutual_information_decides_where_batch_norm_is_folded(tmp_path: Path) -> None:
    """The sample network, without the names that tell its normalisation; its truth is -1..1 in RGB."""
    content = (EXPORTS / "road-signs.tflite").read_bytes().replace(b"MobilenetV1", b"MobilenetX1")
    (tmp_path / "a.tflite").write_bytes(content)
    (tmp_path / "drawings").mkdir()
    for number, (frame, _) in enumerate(held_out(2, 60)):
        cv2.imwrite(str(tmp_path / "drawings" / f"{number:02}.png"), frame)
    described = ovm.describe(
        tmp_path / "a.tflite", name="x", geometry="crop 0.875, resize 128", diagnose_images=tmp_path / "drawings"
    )
    assert baked(described) == rgb((127.5,), (127.5,))
    guesses = said(described)
    assert guesses["normalisation"].startswith("normalisation: tensorflow, mutual information 2.")
    assert guesses["channel order"].startswith("channel order: RGB, mutual information 2.")
    assert "geometry" not in guesses, "the user says it"


def test_grey_images_do_not_decide_the_order(tmp_path: Path) -> None:
    grey = np.repeat(FRAMES[..., 1:2], 3, axis=-1)
    source = networks.write_network(tmp_path / "net.onnx", TRAINED["tensorflow RGB"], grey)
    guesses = said(ovm.describe(source, name="x", diagnose_images=networks.save_images(tmp_path / "grey", grey)))
    assert "normalisation: tensorflow, batch-norm statistics" in guesses["normalisation"]
    assert guesses["channel order"] == "channel order: RGB, so BGR pixels are reversed (--no-reverse-input-channels)"


# --- a part is said


def test_only_the_order_is_decided_if_the_normalisation_is_given(images: Path, tmp_path: Path, caplog: Log) -> None:
    source = network(tmp_path, "tensorflow BGR")
    described = ovm.describe(source, name="x", mean=(127.5,), scale=(127.5,), diagnose_images=images)
    assert baked(described) == bgr((127.5,), (127.5,))
    guesses = said(described)
    assert "normalisation" not in guesses
    assert guesses["channel order"].startswith("channel order: BGR, batch-norm statistics 0.000 against ")
    assert baked(ovm.describe(source, name="x", mean=(127.5,), scale=(127.5,))).reverse_input_channels, "the default"
    assert "contradict" not in caplog.text


def test_numbers_that_nobody_published_are_candidates_if_they_are_given(
    images: Path, tmp_path: Path, caplog: Log
) -> None:
    source = network(tmp_path, "other RGB")
    described = ovm.describe(source, name="x", mean=(60.0, 120.0, 180.0), scale=(30.0,), diagnose_images=images)
    assert baked(described) == rgb((60.0, 120.0, 180.0), (30.0,))
    assert said(described)["channel order"].startswith("channel order: RGB, batch-norm statistics 0.000 against ")
    assert "contradict" not in caplog.text


def test_only_the_normalisation_is_decided_if_the_order_is_given(images: Path, tmp_path: Path, caplog: Log) -> None:
    source = network(tmp_path, "torchvision BGR")
    described = ovm.describe(source, name="x", reverse_input_channels=False, diagnose_images=images)
    assert baked(described) == bgr(MEAN[::-1], STD[::-1])
    assert "channel order" not in said(described)
    assert "contradict" not in caplog.text
    with pytest.raises(ovm.UsageError, match="under no candidate are the images like those of the training"):
        ovm.describe(source, name="x", reverse_input_channels=True, diagnose_images=images)
    assert (
        "the images contradict the given normalisation or channel order: 20 images are sure of torchvision BGR: "
    ) in caplog.text
    better = "Try --mean-values 103.53,116.28,123.675 --scale-values 57.375,57.12,58.395 --no-reverse-input-channels"
    assert better in caplog.text


@pytest.mark.parametrize(
    ("given", "trained", "better"),
    [
        ({"preset": "tensorflow"}, "torchvision RGB", "--preset torchvision --reverse-input-channels"),
        ({"assume": "none"}, "tensorflow RGB", "--preset tensorflow --reverse-input-channels"),
        ({"mean": MEAN, "scale": STD, "reverse_input_channels": True}, "0..255 BGR",
         "--assume none --no-reverse-input-channels"),
        ({"scale": (255.0,), "reverse_input_channels": True}, "0..1 RGB", None),
        ({"preset": "torchvision"}, "torchvision RGB", None),
        ({"preset": "torchvision", "reverse_input_channels": False}, "torchvision BGR", None),
    ],
)  # fmt: skip
def test_what_is_said_stays_with_a_warning_if_the_images_are_sure_of_something_else(
    given: dict[str, object], trained: str, better: str | None, images: Path, tmp_path: Path, caplog: Log
) -> None:
    source = network(tmp_path, trained)
    with_images = ovm.describe(source, name="x", diagnose_images=images, **given)  # type: ignore[arg-type]
    without = ovm.describe(source, name="x", **given)  # type: ignore[arg-type]
    assert (baked(with_images).mean, baked(with_images).scale) == (baked(without).mean, baked(without).scale)
    warnings = [record.message for record in caplog.records if "contradict" in record.message]
    if better is None:
        assert warnings == []
    else:
        (warning,) = warnings
        assert f"20 images are sure of {trained}: batch-norm statistics 0.000 against " in warning
        assert warning.endswith(f"Try {better}")


def test_the_normalisation_of_a_given_model_counts_as_said(images: Path, tmp_path: Path, capsys: Capture) -> None:
    template = small.write_onnx(tmp_path / "template")  # documents torchvision's normalisation
    arguments = [str(template), "--diagnose-images", str(images), "--dry-run"]
    assert convert(network(tmp_path / "a", "torchvision RGB"), tmp_path, *arguments) == 0
    out, err = capsys.readouterr()
    assert "--scale_values=[58.395,57.12,57.375]" in out
    assert "contradict" not in err
    assert "guess: normalisation" not in err
    bgr_network = network(tmp_path / "c", "torchvision BGR")
    assert convert(bgr_network, tmp_path, *arguments, "--no-reverse-input-channels") == 0
    out, err = capsys.readouterr()
    assert "--mean_values=[103.53,116.28,123.675]" in out, "each colour keeps its figures"
    assert "--scale_values=[57.375,57.12,58.395]" in out
    assert "contradict" not in err
    assert convert(network(tmp_path / "b", "0..1 RGB"), tmp_path, *arguments) == 0
    out, err = capsys.readouterr()
    assert "--scale_values=[58.395,57.12,57.375]" in out
    assert "20 images are sure of 0..1 RGB: " in err
    assert "Try --scale-values 255 --reverse-input-channels" in err


# --- evidence in the network


@pytest.mark.parametrize("inside", ["float", "uint8"])
def test_a_network_that_normalises_itself_takes_pixels_and_images_decide_the_order(
    inside: str, images: Path, tmp_path: Path, caplog: Log
) -> None:
    source = network(tmp_path, "tensorflow BGR", inside)
    described = ovm.describe(source, name="x", diagnose_images=images)
    assert baked(described) == bgr((), ())
    guesses = said(described)
    assert guesses["normalisation"].startswith("normalisation: none, the network takes 0..255: ")
    assert guesses["channel order"].startswith("channel order: BGR, batch-norm statistics 0.000 against ")
    assert "contradict" not in caplog.text


def test_images_that_contradict_a_normalisation_inside_are_a_warning(images: Path, tmp_path: Path, caplog: Log) -> None:
    """The network was trained on 0..1, and whoever exported it added x/127.5 - 1."""
    twice = TRAINED["0..1 RGB"]
    source = networks.write_network(tmp_path / "net.onnx", lambda bgr: twice(bgr) / 127.5 - 1, FRAMES, inside="float")
    described = ovm.describe(source, name="x", diagnose_images=images)
    assert baked(described).scale == ()
    assert "the images contradict the network, which takes 0..255 (inside the graph: x/127.5 - 1): 20 images are sure"
    assert "sure of 0..1 RGB: batch-norm statistics 0.0" in caplog.text


@pytest.mark.full
def test_real_names_that_the_images_contradict(tmp_path: Path, caplog: Log) -> None:
    """A MobileNet V2 with torchvision's keys whose batch norms recorded images under -1..1, by torch itself."""
    torch = pytest.importorskip("torch")
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    torch.manual_seed(0)
    folder = networks.save_images(tmp_path / "images", FRAMES)
    module = MobileNetV2(classes=5, width=0.35)
    for trained, agrees in (("torchvision RGB", True), ("tensorflow RGB", False)):
        for layer in module.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = 1.0
        values = TRAINED[trained](FRAMES.astype(np.float64)).transpose(0, 3, 1, 2)
        with torch.no_grad():
            module.train()(torch.from_numpy(np.ascontiguousarray(values, np.float32)))
        source = tmp_path / f"{agrees}.pth"
        torch.save(module.state_dict(), source)
        caplog.clear()
        described = ovm.describe(
            source, name="x", shape=(1, 3, 32, 32), diagnose_images=folder, activation="relu6", padding="torch",
            batch_norm_epsilon=1e-5,  # the statistics of a network at 32 x 32 do not tell its layers
        )  # fmt: skip
        names = "key names of torchvision and architecture mobilenet_v2"
        guess = said(described)["normalisation"]
        if agrees:
            assert baked(described) == rgb(MEAN, STD)
            assert f"normalisation: torchvision, {names}, batch-norm statistics 0.0" in guess
            assert "contradict" not in caplog.text
        else:
            assert baked(described) == rgb((127.5,), (127.5,))
            assert "normalisation: tensorflow, batch-norm statistics 0.0" in guess
            assert "the images contradict the names" in caplog.text
            assert f"{names} suggest torchvision RGB, but 20 images are sure of tensorflow RGB" in caplog.text
            assert "crop 0.875, resize 32, usual with the normalisation tensorflow" in said(described)["geometry"]


# --- not sure, or nothing to look at


def test_images_that_do_not_decide_are_part_of_the_refusal(images: Path, tmp_path: Path, capsys: Capture) -> None:
    source = small.write_onnx(tmp_path / "net").with_name("small.onnx")  # random weights
    assert convert(source, tmp_path / "out", "--diagnose-images", str(images)) == 2
    err = capsys.readouterr().err
    assert "the normalisation of the network is not known" in err
    assert "got 20 images do not decide: mutual information does not decide for a network with " in err
    assert "To insist" not in err, "the best of candidates that tell nothing is no advice"
    assert "Choose --preset keras-v3, tensorflow, torchvision" in err
    assert "warning" not in err, "once is enough"
    assert not (tmp_path / "out").exists()
    # The order is decided by default then, and the images are mentioned.
    assert convert(source, tmp_path / "out", "--assume", "none", "--diagnose-images", str(images)) == 0
    err = capsys.readouterr().err
    if "channel order: RGB, so BGR" in err:
        assert "the images do not decide the channel order: 20 images do not decide: mutual " in err


def test_a_refusal_without_images_says_that_they_decide(images: Path, tmp_path: Path, capsys: Capture) -> None:
    source = network(tmp_path, "tensorflow RGB")
    assert convert(source, tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert "20 images of your own, like those that the network was trained on, often decide it" in err
    assert "--diagnose-images DIR" in err
    assert convert(source, tmp_path / "out", "--diagnose-images", str(images), "--dry-run") == 0


def test_images_that_cannot_be_read_are_reported(images: Path, tmp_path: Path, capsys: Capture, caplog: Log) -> None:
    source = network(tmp_path, "tensorflow RGB")
    folder = tmp_path / "images"
    shutil.copytree(images, folder)
    (folder / "broken.png").write_bytes(b"no image")
    assert convert(source, tmp_path / "out", "--diagnose-images", str(folder), "--dry-run", "-q") == 0
    err = capsys.readouterr().err
    assert f"{folder / 'broken.png'}: " in err
    assert "sure with 20 images" in err
    ovm.describe(source, name="x", diagnose_images=folder)
    assert f"{folder / 'broken.png'}: " in caplog.text
    for path in list(folder.iterdir())[9:]:
        path.unlink()
    assert convert(source, tmp_path / "out", "--diagnose-images", str(folder)) == 1
    assert "too few images can be read: expected at least 10" in capsys.readouterr().err


def test_inputs_that_do_not_exist(images: Path, tmp_path: Path, capsys: Capture) -> None:
    source = network(tmp_path, "tensorflow RGB")
    assert convert(source, tmp_path / "out", "--diagnose-images", str(tmp_path / "missing")) != 0
    assert "missing" in capsys.readouterr().err
    assert main(["convert", "mobilenet-v2-pytorch", "--diagnose-images", str(images)]) == 2
    assert "--diagnose-images requires --source" in capsys.readouterr().err


def test_the_lists_and_shards_of_other_inputs_are_taken(images: Path, tmp_path: Path, capsys: Capture) -> None:
    source = network(tmp_path, "0..1 RGB")
    (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in sorted(images.iterdir())))
    shutil.make_archive(str(tmp_path / "shard"), "tar", images)
    for text in (f"@{tmp_path / 'list.txt'}", str(tmp_path / "shard.tar"), str(images / "*.png")):
        assert convert(source, tmp_path / "out", "--diagnose-images", text, "--dry-run") == 0
        assert "normalisation: 0..1, batch-norm statistics 0.000" in capsys.readouterr().err
