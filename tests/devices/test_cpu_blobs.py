"""The CPU's compiled models in the model cache: the same numbers as without it, whatever happens to the files."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from known_network import Known

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.devices import cpu_blobs

SIDE, CLASSES = 8, 4
LOADED = "loaded from the model cache"


def weights(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.002, (3 * SIDE * SIDE, CLASSES)).astype(np.float32)


def save(xml: Path, matrix: np.ndarray, *, int8: bool = False) -> Path:
    """An IR of another tool, without a digest: one matrix product over all values of a BGR frame."""
    frame = ops.parameter([1, 3, SIDE, SIDE], np.float32, name="frame")
    flat = ops.reshape(frame, [1, -1], False)
    factors: Any = ops.constant(matrix)
    if int8:

        def limit(value: float) -> Any:
            return ops.constant(np.float32(value))

        flat = ops.fake_quantize(flat, limit(0), limit(255), limit(0), limit(255), 256)
        factors = ops.fake_quantize(factors, limit(-0.01), limit(0.01), limit(-0.01), limit(0.01), 255)
    product = ops.matmul(flat, factors, False, False)
    product.set_friendly_name("scores")
    ov.save_model(ov.Model([product], [frame], "one_layer"), xml, compress_to_fp16=False)
    return xml


def frame(seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def by_hand(matrix: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    scores = pixels.astype(np.float64).transpose(2, 0, 1).reshape(1, -1) @ matrix.astype(np.float64)
    exponents = np.exp(scores - scores.max())
    answer: np.ndarray = exponents / exponents.sum()
    return answer


def run(xml: Path, cache: Path | Literal["on", "off"], pixels: np.ndarray | None = None, **settings: Any) -> np.ndarray:
    settings.setdefault("inference_precision", "f32")
    classifier = ovm.load_classifier(xml, model_cache=cache, **settings)
    answer: np.ndarray = classifier.probabilities((frame() if pixels is None else pixels)[None])
    return answer


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="ov_mobilenet")
    return caplog


def only_blob(cache: Path) -> Path:
    (found,) = cache.iterdir()
    return found


@pytest.mark.parametrize("precision", ["f32", "bf16"])
@pytest.mark.parametrize("kind", ["known", "float", "int8"])
def test_the_numbers_are_the_same_bits_with_and_without_the_cache(
    kind: str, precision: str, known: Known, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    if precision == "bf16" and "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no bf16")
    xml = known.xml if kind == "known" else save(tmp_path / "one.xml", weights(), int8=kind == "int8")
    pixels = known.frames[0] if kind == "known" else frame()
    plain = run(xml, "off", pixels, inference_precision=precision)
    assert not log.messages or LOADED not in log.text
    first, second = (run(xml, tmp_path / "cache", pixels, inference_precision=precision) for _ in range(2))
    assert log.text.count(LOADED) == 1
    assert plain.tobytes() == first.tobytes() == second.tobytes()


def test_one_changed_weight_in_files_of_the_same_name_size_and_time_changes_the_answer(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    xml, matrix = tmp_path / "one.xml", weights()
    changed = matrix.copy()
    changed[7, 1] -= 0.05
    binary = save(xml, matrix).with_suffix(".bin")
    whole = binary.read_bytes()
    for factors in (matrix, changed):
        binary.write_bytes(whole.replace(matrix.tobytes(), factors.tobytes()))
        os.utime(binary, (1e9, 1e9))
        assert len(whole) == binary.stat().st_size
        for _ in range(2):
            np.testing.assert_allclose(run(xml, tmp_path / "cache"), by_hand(factors, frame()), atol=1e-6)
    assert log.text.count(LOADED) == 2
    assert abs(by_hand(matrix, frame()) - by_hand(changed, frame())).max() > 1e-3


def test_what_adapts_the_network_is_part_of_the_key(tmp_path: Path) -> None:
    xml, matrix = save(tmp_path / "one.xml", weights()), weights()
    cache = tmp_path / "cache"
    halved = ovm.Normalisation(mean=(0.0, 0.0, 0.0), scale=(2.0, 2.0, 2.0), reverse_input_channels=False)
    reverse = ovm.Normalisation(mean=(0.0, 0.0, 0.0), scale=(1.0, 1.0, 1.0), reverse_input_channels=True)
    for _ in range(2):
        np.testing.assert_allclose(run(xml, cache), by_hand(matrix, frame()), atol=1e-6)
        np.testing.assert_allclose(run(xml, cache, normalisation=halved), by_hand(matrix / 2, frame()), atol=1e-6)
        found = run(xml, cache, normalisation=reverse)
        np.testing.assert_allclose(found, by_hand(matrix, frame()[:, :, ::-1]), atol=1e-6)
    assert len(list(cache.iterdir())) == 3


def test_settings_and_variables_of_the_environment_are_part_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xml, cache = save(tmp_path / "one.xml", weights()), tmp_path / "cache"
    variants: tuple[dict[str, Any], ...] = ({}, {"streams": 1}, {"hint": "throughput"}, {"batch_size": 2})
    for number, settings in enumerate(variants, 1):
        for _ in range(2):
            classifier = ovm.load_classifier(xml, device="CPU", model_cache=cache, **settings)
            assert classifier.device == "CPU"
        assert len(list(cache.iterdir())) == number
    run(xml, cache, device="CPU", inference_precision=None)
    run(xml, cache, device="AUTO", inference_precision=None)  # on a machine without another device
    assert len(list(cache.iterdir())) == len(variants)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    run(xml, cache, inference_precision=None)
    assert len(list(cache.iterdir())) == len(variants) + 1


def damaged(whole: bytes) -> list[bytes]:
    """The content of a file, cut or with one bit flipped at places in all its parts."""
    places = sorted({0, 15, 16, 40, 48, 60, *np.random.default_rng(5).integers(0, len(whole), 10).tolist()})
    flips = [whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in places]
    return [b"", *(whole[:at] for at in places), whole + b"\0", *flips, bytes(len(whole))]


def test_a_damaged_file_is_replaced_and_changes_no_answer(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    xml, cache = save(tmp_path / "one.xml", weights()), tmp_path / "cache"
    expected = run(xml, cache)
    blob = only_blob(cache)
    whole = blob.read_bytes()
    for content in damaged(whole):
        blob.write_bytes(content)
        log.clear()
        assert run(xml, cache).tobytes() == expected.tobytes()
        assert LOADED not in log.text
        assert run(xml, cache).tobytes() == expected.tobytes()
        assert LOADED in log.text
    assert only_blob(cache) == blob


def test_a_file_that_openvino_refuses_is_replaced(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """As from a build of the same version that writes another form."""
    xml, cache = save(tmp_path / "one.xml", weights()), tmp_path / "cache"
    expected = run(xml, cache)
    blob = only_blob(cache)
    other = b"another form"
    blob.write_bytes(cpu_blobs.MAGIC + hashlib.sha256(other).digest() + other)
    assert run(xml, cache).tobytes() == expected.tobytes()
    assert LOADED not in log.text
    assert run(xml, cache).tobytes() == expected.tobytes()
    assert LOADED in log.text


def test_an_openvino_that_imports_only_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    """Before OpenVINO 2026.0."""
    real = ov.Core.import_model

    def import_model(core: ov.Core, exported: object, *rest: Any) -> ov.CompiledModel:
        if not isinstance(exported, bytes):
            raise TypeError("import_model(): incompatible function arguments")
        return real(core, exported, *rest)

    monkeypatch.setattr(ov.Core, "import_model", import_model)
    xml, cache = save(tmp_path / "one.xml", weights()), tmp_path / "cache"
    assert run(xml, cache).tobytes() == run(xml, cache).tobytes()
    assert log.text.count(LOADED) == 1


def test_several_that_start_at_once_leave_one_whole_file(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    xml, cache = save(tmp_path / "one.xml", weights()), tmp_path / "cache"
    expected = run(xml, "off").tobytes()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(run, xml, cache) for _ in range(8)]
        assert all(answer.result().tobytes() == expected for answer in answers)
    only_blob(cache)
    log.clear()
    assert run(xml, cache).tobytes() == expected
    assert LOADED in log.text


@pytest.fixture
def image(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "0.png"), frame())
    return tmp_path / "0.png"


def classify(xml: Path, *arguments: str | Path) -> int:
    options = ["--inference-precision", "f32", "--format", "json", "--geometry", f"resize {SIDE}x{SIDE}"]
    return main(["classify", str(xml), *map(str, arguments), *options])


@pytest.fixture
def users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("ov_mobilenet.downloads.cache.default_root", lambda: tmp_path / "user")
    return tmp_path / "user" / "compiled"


def rows(capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    out, err = capsys.readouterr()
    return json.loads(out), err


def test_classify_keeps_compiled_models_in_the_users_cache_unless_told_not_to(
    users_cache: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    xml = save(tmp_path / "one.xml", weights())
    assert classify(xml, image, "--model-cache", "off") == 0
    assert not users_cache.exists()
    plain, _ = rows(capsys)
    for _ in range(2):
        assert classify(xml, image) == 0
        found, _ = rows(capsys)
        assert found["results"][0]["predictions"] == plain["results"][0]["predictions"]
        blob = only_blob(users_cache)
    assert main(["cache", "list", "--cache-dir", str(tmp_path / "user"), "--format", "json"]) == 0
    (entry,) = rows(capsys)[0]["entries"]
    assert (entry["kind"], entry["path"]) == ("compiled", str(blob))


def test_many_images_are_compiled_and_kept_once(
    users_cache: Path, image: Path, known: Known, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [str(image)] * 100
    for _ in range(2):
        assert main(["classify", str(known.xml), *many, "--format", "json", "-q"]) == 0
        assert len(rows(capsys)[0]["results"]) == 100
        only_blob(users_cache)


def test_other_commands_and_python_keep_no_compiled_model_for_the_cpu(users_cache: Path, known: Known) -> None:
    ovm.load_classifier(known.xml, device="CPU").classify(known.files[0])
    ovm.benchmark(known.xml, device="CPU", iterations=2, time_s=None, warmup_s=0.0, start_up=False)
    assert not users_cache.exists()


def test_without_a_writable_cache_classify_runs_and_says_nothing(
    users_cache: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    users_cache.parent.write_bytes(b"")  # a file where the folder would be
    xml = save(tmp_path / "one.xml", weights())
    assert classify(xml, image, "-q") == 0
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_one_warning_for_a_folder_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cpu_blobs, "replace_file", full)
    xml, cache = save(tmp_path / "one.xml", weights()), tmp_path / "cache"
    np.testing.assert_allclose(run(xml, cache), by_hand(weights(), frame()), atol=1e-6)
    assert list(cache.iterdir()) == []
    (warning,) = (record for record in caplog.records if "not kept" in record.message)
    assert (warning.levelname, os.strerror(errno.ENOSPC) in warning.message) == ("WARNING", True)
    caplog.clear()
    monkeypatch.setattr("ov_mobilenet.downloads.cache.default_root", lambda: tmp_path / "user")
    np.testing.assert_allclose(run(xml, "on"), by_hand(weights(), frame()), atol=1e-6)
    assert not [record for record in caplog.records if "not kept" in record.message and record.levelname != "INFO"]


def test_a_model_of_any_frame_size_is_kept_too(tmp_path: Path, known: Known, log: pytest.LogCaptureFixture) -> None:
    config = ovm.load_config(known.yml)
    sources = ovm.download(config, tmp_path / "sources", cache_root=tmp_path / "files", offline=True)
    (model,) = ovm.convert(sources, tmp_path / "out", precisions=("FP32",), form=ovm.Form(bake_geometry=True))
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    answers = [run(model.xml, cache, pixels) for cache in ("off", tmp_path / "cache", tmp_path / "cache")]
    assert len({answer.tobytes() for answer in answers}) == 1
    assert log.text.count(LOADED) == 1
