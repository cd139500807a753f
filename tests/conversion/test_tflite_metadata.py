"""TFLite Metadata: what a file says is used before every guess, and contradictions are named.

The real files are in `tests/shared/test_outside_networks.py`; here metadata is added to the sample network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tflite_files as tflite
from signs import held_out, network_images

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.conversion.inner_normalisation import NO_NORMALISATION, InnerNormalisation
from ov_mobilenet.conversion.input_choice import InputChoice, choose_input
from ov_mobilenet.conversion.inspection import SourceFacts, inspect_source
from ov_mobilenet.conversion.integer_input import IntegerInput
from ov_mobilenet.errors import ConversionError, UsageError

Capture = pytest.CaptureFixture[str]
Log = pytest.LogCaptureFixture
NETWORK = Path(__file__).resolve().parents[1] / "data" / "signs" / "road-signs.tflite"
# Without the names that are evidence.
MODEL = NETWORK.read_bytes().replace(b"MobilenetV1", b"MobilenetX1")
CLASSES = 16
NAMES = [f"sign {number}" for number in range(CLASSES)]
LABELS = "".join(f"{name}\n" for name in NAMES).encode()


def written(folder: Path, content: bytes, files: dict[str, bytes] | None = None) -> Path:
    path = folder / "net.tflite"
    path.write_bytes(tflite.with_metadata(MODEL, content, files))
    return path


def convert(path: Path, out: Path, *more: str) -> int:
    return main(["convert", "--source", str(path), "--name", "x", "-o", str(out), "--precisions", "FP32", *more])


def test_a_float_network_is_fed_as_its_metadata_says(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "bare.tflite").write_bytes(MODEL)
    assert convert(tmp_path / "bare.tflite", tmp_path / "out") == 2, "without metadata nothing tells"
    capsys.readouterr()
    path = written(tmp_path, tflite.metadata(labels=(("names.txt", None),)), {"names.txt": LABELS})
    assert convert(path, tmp_path / "out") == 0
    err = capsys.readouterr().err
    assert "normalisation: reverse_input_channels, mean_values [127.5], scale_values [127.5] (TFLite Metadata)" in err
    assert f"labels: {CLASSES} names (TFLite Metadata)" in err
    assert "channel order" not in err, "the metadata says RGB"
    classifier = ovm.load_classifier(tmp_path / "out/public/x/FP32/x.xml", device="CPU", inference_precision="f32")
    assert list(classifier.labels or ()) == NAMES
    drawings = list(held_out(3, 48))
    frames = np.ascontiguousarray(network_images([frame for frame, _ in drawings]))
    answer = classifier.probabilities(frames).argmax(1)
    assert (answer == [index for _, index in drawings]).mean() > 0.95


def declared(path: Path) -> DeclaredInput | None:
    return inspect_source(path).declared


@pytest.mark.parametrize(
    ("content", "mean", "scale"),
    [
        # 123.675 = 255 * 0.485 as float32 is 123.675003.
        (tflite.metadata(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
         (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        (tflite.metadata(mean=(0.0,), std=(1.0,)), (), ()),
        (tflite.metadata(mean=None, stats=((0.0,), (1.0,))), (0.0,), (255.0,)),
        (tflite.metadata(mean=None, stats=((-1.0,) * 3, (1.0,) * 3)), (127.5,), (127.5,)),
        (tflite.metadata(mean=None, stats=((0.0,), (255.0,))), (), ()),
    ],
)  # fmt: skip
def test_mean_and_std_or_the_range_of_the_input(
    content: bytes, mean: tuple[float, ...], scale: tuple[float, ...], tmp_path: Path
) -> None:
    found = declared(written(tmp_path, content))
    assert found is not None
    assert found.normalisation == ovm.Normalisation(mean=mean, scale=scale, reverse_input_channels=True)


def test_nothing_is_made_up(tmp_path: Path, capsys: Capture) -> None:
    """Metadata with neither a normalisation nor labels; ranges that differ by channel tell nothing."""
    assert declared(written(tmp_path, tflite.metadata(mean=None))) is None
    assert declared(written(tmp_path, tflite.metadata(mean=None, stats=((-2.1, -2.0, -1.8), (2.2, 2.4, 2.6))))) is None
    # A colour space that is not said leaves the channel order a guess, which is printed with -q too.
    path = written(tmp_path, tflite.metadata(colour=None))
    assert convert(path, tmp_path / "out", "--dry-run", "-q") == 0
    out, err = capsys.readouterr()
    assert "guess: channel order: RGB" in err
    assert "--mean_values=[127.5]" in out


def test_a_range_that_contradicts_mean_and_std_is_a_warning(tmp_path: Path, caplog: Log) -> None:
    found = declared(written(tmp_path, tflite.metadata(stats=((0.0,), (1.0,)))))
    assert found is not None and found.normalisation is not None
    assert found.normalisation.mean == (127.5,)
    assert "says that the input is 0 to 1, and that mean and std make it -1 to 1" in caplog.text


@pytest.mark.parametrize(
    ("labels", "files", "names"),
    [
        ((("de.txt", "de"), ("en.txt", None)), {"de.txt": b"x\n" * CLASSES, "en.txt": LABELS}, NAMES),
        ((("de.txt", "de"), ("en.txt", "en")), {"de.txt": LABELS, "en.txt": b"x\n" * CLASSES}, NAMES),
        ((("a.txt", None),), {"a.txt": b"\xef\xbb\xbf" + LABELS.replace(b"\n", b"\r\n") + b"\n\n"}, NAMES),
    ],
)
def test_labels_of_the_default_locale(
    labels: tuple[tuple[str, str | None], ...], files: dict[str, bytes], names: list[str], tmp_path: Path
) -> None:
    found = declared(written(tmp_path, tflite.metadata(labels=labels), files))
    assert found is not None and isinstance(found.labels, tuple)
    assert list(found.labels) == names


def test_labels_of_the_user_come_first(tmp_path: Path, capsys: Capture) -> None:
    path = written(tmp_path, tflite.metadata(labels=(("a.txt", None),)), {"a.txt": b"one\ntwo\n"})
    assert convert(path, tmp_path / "out", "--dry-run") == 2
    err = capsys.readouterr().err
    assert "TFLite Metadata: the number of labels does not match the number of classes" in err
    assert "--labels none" in err
    assert convert(path, tmp_path / "out", "--dry-run", "--labels", "none") == 0


def test_what_the_user_says_wins_with_a_warning_that_names_both(tmp_path: Path, capsys: Capture) -> None:
    path = written(tmp_path, tflite.metadata())
    assert convert(path, tmp_path / "out", "--dry-run", "--preset", "torchvision") == 0
    out, err = capsys.readouterr()
    assert "the given normalisation (reverse_input_channels, mean_values [123.675, 116.28, 103.53]" in err
    assert "TFLite Metadata: reverse_input_channels, mean_values [127.5], scale_values [127.5]" in err
    assert "--mean_values=[123.675,116.28,103.53]" in out
    assert convert(path, tmp_path / "out", "--dry-run", "--no-reverse-input-channels") == 0
    out, err = capsys.readouterr()
    assert "the given channel order (mean_values [127.5]" in err
    assert "--reverse_input_channels" not in out
    for same in (["--preset", "tensorflow"], ["--mean-values", "127.5", "--scale-values", "128"]):
        assert convert(path, tmp_path / "out", "--dry-run", *same) == 0
        assert "is used, which differs" not in capsys.readouterr().err


def test_names_that_suggest_another_normalisation_are_a_warning(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite.with_metadata(NETWORK.read_bytes(), tflite.metadata(mean=(0.0,), std=(255.0,))))
    assert convert(path, tmp_path / "out", "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "TFLite Metadata: reverse_input_channels, mean_values [0.0], scale_values [255.0]" in err
    assert (
        "tensor names of TensorFlow's slim networks and architecture mobilenet_v1 suggest tensorflow: --preset" in err
    )
    assert "--scale_values=[255" in out
    path.write_bytes(tflite.with_metadata(NETWORK.read_bytes(), tflite.metadata()))
    assert convert(path, tmp_path / "out", "--dry-run") == 0
    assert "suggest" not in capsys.readouterr().err


# --- metadata and the graph


def facts(
    normalisation: ovm.Normalisation | None = None,
    *,
    integers: IntegerInput | None = None,
    inner: InnerNormalisation = NO_NORMALISATION,
) -> SourceFacts:
    said = DeclaredInput("TFLite Metadata", normalisation) if normalisation is not None else None
    return SourceFacts(
        "tflite", Path("folder"), ("a.tflite",), "a.tflite", "input", (1, 224, 224, 3), None, 5, "probabilities",
        integer_input=integers, inner=inner, declared=said,
    )  # fmt: skip


def choice(given: SourceFacts, assume: bool = False, scale: tuple[float, ...] | None = None) -> InputChoice:
    return choose_input(
        given, preset=None, assume="none" if assume else None, mean=None, scale=scale, reverse_input_channels=None
    )


SIGNED = ovm.Normalisation(mean=(127.5,), scale=(127.5,), reverse_input_channels=True)
UNIT = ovm.Normalisation(scale=(255.0,), reverse_input_channels=True)
PIXELS = ovm.Normalisation(reverse_input_channels=True)
# A uint8 input of -1..0.992 (zero point 128, step 1/128), and an int8 one of 0..1.
UINT8, INT8 = IntegerInput(0, (-1.0, 0.9921875)), IntegerInput(-128, (0.0, 1.0))


@pytest.mark.parametrize(("said", "integers"), [(SIGNED, UINT8), (UNIT, INT8), (PIXELS, UINT8), (PIXELS, INT8)])
def test_the_quantisation_of_an_integer_input_applies_what_the_metadata_says(
    said: ovm.Normalisation, integers: IntegerInput
) -> None:
    """An identity says that the pixels are the integers, as AutoML writes it."""
    chosen = choice(facts(said, integers=integers))
    assert chosen.normalisation == PIXELS
    is_omitted = any("the quantisation of the input applies them" in guess.value for guess in chosen.guesses)
    assert is_omitted == bool(said.scale)


def test_metadata_that_contradicts_the_graph_is_refused_with_both() -> None:
    inside = InnerNormalisation((1 / 127.5,), (-1.0,))
    ranged = InnerNormalisation(real_range=(0.0, 1.0))
    for given, graph in (
        (facts(UNIT, integers=UINT8), r"the integers of the input: expected as in the graph: 0\.\.255 become -1\.\."),
        (facts(SIGNED, integers=IntegerInput(0, None)), r"0\.\.255 are the integers 0\.\.255"),
        (
            facts(SIGNED, inner=ranged),
            r"the quantisation of the input: expected as in the graph: 0\.\.255 become 0\.\.1",
        ),
        (facts(SIGNED, inner=inside), r"values such as 0\.\.1 or -1\.\.1 behind x/127.5 - 1"),
    ):
        with pytest.raises(UsageError, match=f"TFLite Metadata contradicts .*{graph}") as caught:
            choice(given)
        assert "TFLite Metadata: 0..255 become " in str(caught.value)
        if given.inner is not ranged:  # 0..1 at the first layer is no image of 0..255
            assert choice(given, assume=True).normalisation == PIXELS
    assert choice(facts(SIGNED, inner=ranged), scale=(255.0,)).normalisation == UNIT
    with pytest.raises(ConversionError, match="mean and scale contradict the quantisation"):
        choice(facts(SIGNED, integers=UINT8), scale=(255.0,))


@pytest.mark.parametrize(
    ("real_range", "expected"),
    [
        ((0.0, 1.0), UNIT),
        ((-0.992, 1.0), SIGNED),
        ((0.0, 255.0), PIXELS),
        ((-2.118, 2.64), ovm.Normalisation(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375),
                                            reverse_input_channels=True)),
        ((-0.2, 0.9), None),
        ((-5.0, 5.0), None),
    ],
)  # fmt: skip
def test_the_range_behind_a_float_input_tells_its_normalisation(
    real_range: tuple[float, float], expected: ovm.Normalisation | None
) -> None:
    given = facts(inner=InnerNormalisation(real_range=real_range))
    if expected is None:
        with pytest.raises(UsageError, match="the normalisation of the network is not known"):
            choice(given)
        return
    chosen = choice(given)
    assert chosen.normalisation == expected
    assert any("the quantisation of the input holds" in guess.value for guess in chosen.guesses)
    assert "channel order" in [guess.name for guess in chosen.guesses], "a range does not tell it"
