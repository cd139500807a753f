"""tritonclient, unchanged, against `serve`: HTTP and gRPC, each synchronous and with asyncio.

Every answer is compared with the bits of what `classify` gives in this process for the same image, one at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_images import ServedImages, drawn_images, real_images
from served_process import CLIENTS, ServedProcess, answer_of, python_of, serving

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE

pytestmark = pytest.mark.serve

NAMES = ("http", "http.aio", "grpc", "grpc.aio")
HTTP = NAMES[:2]
BULK = 60
REAL = ("mobilenet-v1-0.25-128-tf2017", "mobilenet-v2-onnx-real")

name_of_client = pytest.mark.parametrize("name", NAMES)


class Asked:
    """What the clients answered, and what they were asked for."""

    def __init__(self, images: ServedImages, output: str, answers: dict[str, Any]) -> None:
        self.images = images
        self.output = output
        self.answers = answers

    def hex_of(self, name: str, request: str) -> str:
        """The values of the network's output, as hexadecimal text."""
        outcome = self.answers[name]["requests"][request]
        assert "outputs" in outcome, outcome
        assert list(outcome["outputs"]) == [self.output]
        found: str = outcome["outputs"][self.output]["hex"]
        return found


def requests_for(images: ServedImages, output: str) -> dict[str, dict[str, Any]]:
    """Requests that are answered, and those that are refused."""
    frame, small = images.frames[0], images.small
    broken = images.folder / "broken.jpg"
    broken.write_bytes(images.files[1].read_bytes()[:200])
    arrays = {
        "frame": frame[None],
        "small": small[:1],
        "batch": small,
        "float": (small[:2] + np.float32(0.25)).clip(0, 255),
        "planes": np.ascontiguousarray(small[:2].transpose(0, 3, 1, 2)),
        "nan": np.full((1, 8, 8, 3), np.nan, np.float32),
        "too_bright": np.full((1, 8, 8, 3), 300, np.float32),
        "integers": small[:1].astype(np.int64),
        "one_frame": small[0],
    }
    paths = {name: images.array(name, values) for name, values in arrays.items()}
    u8 = {name: {"datatype": "UINT8", "npy": paths[name]} for name in ("frame", "small", "batch", "planes")}
    fp32 = {name: {"datatype": "FP32", "npy": paths[name]} for name in ("float", "nan", "too_bright")}
    files = {"datatype": "BYTES", "files": [str(file) for file in images.files]}
    plain = {"datatype": "UINT8", "npy": paths["small"]}
    return {
        **u8,
        **fp32,
        "files": files,
        "file": {**files, "files": files["files"][:1]},
        "column_of_files": {**files, "bytes_shape": [-1, 1]},
        "named_output": {**plain, "output": output},
        "version": {**plain, "model_version": "1"},
        "id": {**plain, "request_id": "äb/7 x"},
        "parameters": {**plain, "parameters": {"of_client": "text", "number": 3}},
        "enough_time": {**plain, "timeout": 60_000_000},
        # JSON in one direction or both. gRPC ignores these.
        "json_frame": {**u8["frame"], "binary_input": False},
        "json_float": {**fp32["float"], "binary_input": False, "output": output, "binary_output": False},
        "json_answer": {**u8["batch"], "output": output, "binary_output": False},
        # Classes
        "classes": {**files, "output": output, "classes": 3},
        "json_classes": {**files, "output": output, "classes": 3, "binary_output": False},
        "all_classes": {**u8["frame"], "output": output, "classes": 10_000},
        # Refused
        "unknown_model": {**plain, "model": "no such model"},
        "unknown_version": {**plain, "model_version": "2"},
        "unknown_input": {**plain, "input": "no such input"},
        "unknown_output": {**plain, "output": "no such output"},
        "wrong_datatype": {"datatype": "INT64", "npy": paths["integers"]},
        "three_dimensions": {"datatype": "UINT8", "npy": paths["one_frame"]},
        "negative_shape": {**plain, "shape": [-1, *small.shape[1:]]},
        "shape_of_more": {**plain, "shape": [2, *small.shape[1:]]},
        "shape_of_less": {**plain, "shape": [1, 8, 8, 3]},
        "broken_file": {"datatype": "BYTES", "files": [str(broken)]},
        "no_time": {**plain, "timeout": 1},
    }  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    python_of(CLIENTS)
    with serving({"signs": SAMPLE, "other": SAMPLE}, tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture(scope="module")
def asked(server: ServedProcess, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    images = drawn_images(SAMPLE, tmp_path_factory.mktemp("images"))
    output = "logits"  # of the IR of the sample model
    requests = requests_for(images, output)
    # For HTTP only: the text of the base64 form, and a compressed body.
    http_only = {
        "json_files": {
            "datatype": "BYTES", "texts": [images.base64_of(file) for file in images.files], "binary_input": False,
        },
        "gzip": {**requests["small"], "request_compression_algorithm": "gzip"},
        "gzip_wanted": {**requests["small"], "response_compression_algorithm": "gzip"},
    }  # fmt: skip
    bulk = {
        "files": [
            {**requests["files"], "files": [str(file)], "request_id": str(number)}
            for number, file in zip(range(BULK), itertools.cycle(images.files), strict=False)
        ]
    }
    given = {
        "http": server.http, "grpc": server.grpc, "model": "signs",
        "requests": {**requests, **http_only}, "bulk": bulk,
    }  # fmt: skip
    return Asked(images, output, answer_of(CLIENTS, "serve_tritonclient.py", given=given))


@name_of_client
def test_documents(asked: Asked, name: str) -> None:
    told = asked.answers[name]["documents"]
    for key in ("live", "ready", "model_ready", "version_ready"):
        assert told[key] is True, key
    not_found = "404" if name in HTTP else "StatusCode.NOT_FOUND"
    assert told["unknown_ready"] is False or told["unknown_ready"]["status"] == not_found
    assert told["server"]["name"] == "ov-mobilenet"
    assert {"binary_tensor_data", "classification"} <= set(told["server"]["extensions"])
    for key in ("model", "version"):
        document = told[key]
        assert (document["name"], document["versions"]) == ("signs", ["1"])
        shapes = [
            (one["name"], one["datatype"], [int(size) for size in one["shape"]])
            for one in (*document["inputs"], *document["outputs"])
        ]
        assert shapes == [("input", "UINT8", [-1, -1, -1, 3]), (asked.output, "FP32", [-1, 16])]
    for key in ("unknown", "unknown_version"):
        assert told[key]["status"] == not_found, told[key]
        assert told[key]["message"].count("\n") == 0


@name_of_client
def test_configuration_statistics_and_index(asked: Asked, name: str) -> None:
    told = asked.answers[name]["documents"]
    config = told["config"] if name in HTTP else told["config"]["config"]
    assert config["name"] == "signs"
    assert [one["name"] for one in config["input"]] == ["input"]
    assert [one["name"] for one in config["output"]] == [asked.output]
    for key, models in (("statistics", {"signs"}), ("all_statistics", {"signs", "other"})):
        found = told[key]["model_stats"]
        assert {one["name"] for one in found} == models
        assert {one["version"] for one in found} == {"1"}
    index = told["index"] if name in HTTP else told["index"]["models"]
    assert sorted((one["name"], one["version"], one["state"]) for one in index) == [
        ("other", "1", "READY"), ("signs", "1", "READY"),
    ]  # fmt: skip


@name_of_client
def test_models_are_not_controlled_by_clients(asked: Asked, name: str) -> None:
    """Unless --allow-model-control is given; the server answers the requests that follow."""
    told = asked.answers[name]["documents"]
    for key in ("load", "unload"):
        assert told[key]["status"] in {"403", "StatusCode.PERMISSION_DENIED"}, told[key]
        assert "--allow-model-control" in told[key]["message"]


def test_statistics_count_what_was_answered(asked: Asked) -> None:
    """The clients ran one after another, so the difference is what the one before did."""

    def counts(name: str) -> tuple[int, int]:
        (model,) = asked.answers[name]["documents"]["statistics"]["model_stats"]
        success = model["inference_stats"]["success"]
        return int(model.get("inference_count", 0)), int(success.get("count", 0))

    for before, after in itertools.pairwise(NAMES):
        answered = [
            outcome
            for outcome in (*asked.answers[before]["requests"].values(), *asked.answers[before]["bulk"]["files"])
            if "outputs" in outcome
        ]
        images = sum(next(iter(outcome["outputs"].values()))["shape"][0] for outcome in answered)
        (images_before, requests_before), (images_after, requests_after) = counts(before), counts(after)
        assert requests_after - requests_before == len(answered)
        assert images_after - images_before == images


@name_of_client
def test_frames_of_another_size(asked: Asked, name: str) -> None:
    expected = asked.images.hex_of(asked.images.frames[0])
    assert asked.hex_of(name, "frame") == expected
    assert asked.hex_of(name, "json_frame") == expected


@name_of_client
def test_frames_of_the_input_size(asked: Asked, name: str) -> None:
    """They are used as they are; the oracle gets them one at a time."""
    small = asked.images.small
    rows = np.stack([asked.images.classifier.probabilities(frame[None])[0] for frame in small])
    expected = [row.astype("<f4").tobytes().hex() for row in rows]
    assert asked.hex_of(name, "batch") == "".join(expected)
    assert asked.hex_of(name, "json_answer") == "".join(expected)
    for request in ("small", "named_output", "version", "id", "parameters", "enough_time"):
        assert asked.hex_of(name, request) == expected[0], request
    for request in ("float", "json_float", "planes"):
        assert asked.hex_of(name, request) == "".join(expected[:2]), request


@name_of_client
def test_image_files(asked: Asked, name: str) -> None:
    expected = asked.images.hex_of(*asked.images.files)
    assert asked.hex_of(name, "files") == expected
    assert asked.hex_of(name, "column_of_files") == expected
    assert asked.hex_of(name, "file") == asked.images.hex_of(asked.images.files[0])
    if name in HTTP:
        assert asked.hex_of(name, "json_files") == expected


@name_of_client
def test_what_is_around_the_values(asked: Asked, name: str) -> None:
    answers = asked.answers[name]["requests"]
    assert answers["id"]["id"] == "äb/7 x"
    assert answers["small"]["id"] == ""
    for request, rows in (("small", 1), ("batch", len(asked.images.small)), ("json_answer", len(asked.images.small))):
        output = answers[request]["outputs"][asked.output]
        assert output["datatype"] == "FP32"
        assert output["shape"] == output["announced_shape"] == [rows, 16]
        assert (answers[request]["model_name"], answers[request]["model_version"]) == ("signs", "1")
    if name in HTTP:  # binary and JSON as they were asked for
        for request, as_json in (("named_output", False), ("json_float", True), ("json_answer", True)):
            assert answers[request]["outputs"][asked.output]["has_json_data"] is as_json


@name_of_client
@pytest.mark.parametrize("request_name", ["classes", "json_classes", "all_classes"])
def test_classification(asked: Asked, name: str, request_name: str) -> None:
    """`probability:class_id:label`; the probability is the shortest text of the same float32."""
    output = asked.answers[name]["requests"][request_name]["outputs"][asked.output]
    images = [asked.images.frames[0]] if request_name == "all_classes" else asked.images.files
    top_k = 16 if request_name == "all_classes" else 3
    assert (output["datatype"], output["shape"]) == ("BYTES", [len(images), top_k])
    expected = [one for image in images for one in asked.images.classes_of(image, top_k)]
    for text, (probability, class_id, label) in zip(output["texts"], expected, strict=True):
        value, number, words = text.split(":", 2)
        assert (np.float32(value), int(number), words) == (np.float32(probability), class_id, label)
        assert len(value) <= len(str(np.float32(probability)))


REFUSED = {
    "unknown_model": ("404", "NOT_FOUND", "no such model"),
    "unknown_version": ("404", "NOT_FOUND", "2"),
    "unknown_input": ("400", "INVALID_ARGUMENT", "no such input"),
    "unknown_output": ("400", "INVALID_ARGUMENT", "no such output"),
    "wrong_datatype": ("400", "INVALID_ARGUMENT", "INT64"),
    "three_dimensions": ("400", "INVALID_ARGUMENT", ""),
    "negative_shape": ("400", "INVALID_ARGUMENT", "-1"),
    "shape_of_more": ("400", "INVALID_ARGUMENT", ""),
    "shape_of_less": ("400", "INVALID_ARGUMENT", ""),
    "nan": ("400", "INVALID_ARGUMENT", ""),
    "too_bright": ("400", "INVALID_ARGUMENT", "255"),
    "broken_file": ("422", "INVALID_ARGUMENT", ""),
    "no_time": ("504", "DEADLINE_EXCEEDED", ""),
}


@name_of_client
@pytest.mark.parametrize("request_name", REFUSED)
def test_refusals(asked: Asked, name: str, request_name: str) -> None:
    outcome = asked.answers[name]["requests"][request_name]
    status, code, words = REFUSED[request_name]
    assert outcome.get("status") == (status if name in HTTP else f"StatusCode.{code}"), outcome
    assert words in outcome["message"]
    assert "an exception occurred in the client" not in outcome["message"]  # the body was not {"error": text}


@pytest.mark.parametrize("name", HTTP)
def test_compression(asked: Asked, name: str) -> None:
    """A compressed request is refused; a client that accepts compressed answers gets a plain one."""
    outcome = asked.answers[name]["requests"]["gzip"]
    assert outcome.get("status") == "415", outcome
    assert asked.hex_of(name, "gzip_wanted") == asked.hex_of(name, "small")


@name_of_client
def test_many_at_once(asked: Asked, name: str) -> None:
    """Every answer belongs to its request."""
    outcomes = asked.answers[name]["bulk"]["files"]
    assert [outcome.get("id") for outcome in outcomes] == [str(number) for number in range(BULK)]
    rows = [asked.images.hex_of(file) for file in asked.images.files]
    assert len(set(rows)) == len(rows)
    for outcome, expected in zip(outcomes, itertools.cycle(rows), strict=False):
        assert outcome["outputs"][asked.output]["hex"] == expected


@pytest.mark.shared
def test_real_networks_and_images(shared: Path, tmp_path: Path) -> None:
    """Files and frames of imagenet200, two networks in one server."""
    python_of(CLIENTS)
    networks = {}
    for name in REAL:
        sources = ovm.download(
            ovm.load_config(shared / "zoo" / name / "model.yml"), tmp_path / "dl", cache_root=tmp_path / "c",
            offline=True,
        )  # fmt: skip
        networks[name] = ovm.convert(sources, tmp_path / "ir", precisions=("FP16",))[0].xml
    files = sorted((shared / "imagenet200" / "images").iterdir())[:12]
    with serving(networks, tmp_path) as server:
        for name, xml in networks.items():
            images = real_images(xml, tmp_path, files)
            frame = {"datatype": "UINT8", "npy": images.array(name, images.frames[3][None])}
            requests = {
                "files": {"datatype": "BYTES", "files": [str(file) for file in files]},
                "json_files": {
                    "datatype": "BYTES", "texts": [images.base64_of(file) for file in files], "binary_input": False,
                },
                "frame": frame,
                "json_frame": {**frame, "binary_input": False},
            }  # fmt: skip
            given = {"http": server.http, "grpc": server.grpc, "model": name, "requests": requests, "bulk": {}}
            answers = answer_of(CLIENTS, "serve_tritonclient.py", given=given)
            expected = {"files": images.hex_of(*files), "frame": images.hex_of(images.frames[3])}
            for client in NAMES:
                for request in requests if client in HTTP else ("files", "frame", "json_frame"):
                    (output,) = answers[client]["requests"][request]["outputs"].values()
                    assert output["hex"] == expected[request.removeprefix("json_")], (name, client, request)
