"""Metadata, configuration, statistics and the model repository, over gRPC and the same over HTTP routes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from serving.running_grpc import MODEL, RunningGrpc, running_grpc, triton_client
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from tritonclient.grpc import InferInput, model_config_pb2
from tritonclient.utils import InferenceServerException

from ov_mobilenet import Classifier, load_classifier
from ov_mobilenet.runtime.async_queue import AsyncQueue
from ov_mobilenet.serving.protocol.model_documents import model_config, model_metadata, server_metadata
from ov_mobilenet.serving.request_errors import RequestError
from ov_mobilenet.serving.rest.document_routes import document_routes

LABELS = (
    "no_entry_red no_entry_blue stop_red stop_blue warning_triangle_red warning_triangle_blue arrow_plate_red "
    "arrow_plate_blue speed_limit_red speed_limit_blue no_parking_red no_parking_blue traffic_light_red "
    "traffic_light_green priority_road_yellow end_of_limits"
)


@pytest.fixture(scope="module")
def control_server(classifier: Classifier) -> Iterator[RunningGrpc]:
    with running_grpc(classifier, allow_model_control=True) as server:
        yield server


def request(server: RunningGrpc, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """Status and JSON document of a request to the routes, in the loop of the server."""

    async def refused(given: Any, error: Exception) -> Any:
        assert isinstance(error, RequestError)
        return JSONResponse({"error": str(error)}, error.http_status)

    app = Starlette(
        routes=document_routes(server.repository, server.settings, server.statistics),
        exception_handlers={RequestError: refused},
    )
    sent: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [],
        "http_version": "1.1", "scheme": "http", "root_path": "",
    }  # fmt: skip
    server.run(app(scope, receive, send))  # type: ignore[arg-type]
    text = b"".join(one.get("body", b"") for one in sent[1:])
    return sent[0]["status"], json.loads(text) if text.startswith((b"{", b"[")) else text


def test_metadata_names_what_clients_send_and_get(plain_server: RunningGrpc) -> None:
    with triton_client(plain_server) as client:
        metadata = client.get_model_metadata(MODEL, as_json=True)
        about = client.get_server_metadata(as_json=True)
    assert metadata == {
        "name": MODEL, "versions": ["1"], "platform": "openvino",
        "inputs": [{"name": "input", "datatype": "UINT8", "shape": ["-1", "-1", "-1", "3"]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": ["-1", "16"]}],
    }  # fmt: skip
    assert about == server_metadata()


def test_metadata_carries_what_model_api_reads(plain_server: RunningGrpc) -> None:
    """As `OVMSAdapter.get_rt_info(["model_info", "labels"])` looks it up, and nothing about files."""
    document = json.loads(json.dumps(model_metadata(plain_server.repository.find(MODEL))))
    assert document["rt_info"]["model_info"] == {
        "labels": LABELS, "model_type": "Classification", "resize_type": "standard",
    }  # fmt: skip
    ours = document["rt_info"]["ov_mobilenet"]
    assert json.loads(ours["normalisation"]) == {
        "mean": [127.5, 127.5, 127.5], "scale": [127.5], "reverse_input_channels": True,
    }  # fmt: skip
    assert not {"sources", "calibration", "accuracy", "config_name", "config_digest", "origin"} & set(ours)
    assert all(isinstance(value, str) for section in document["rt_info"].values() for value in section.values())


def test_metadata_of_an_ir_of_another_tool(tmp_path: Path, plain_server: RunningGrpc) -> None:
    """Its own `model_info` is kept, also where it is not text, and there is no section of ours."""
    import openvino as ov
    from openvino import opset13 as ops

    data = ops.parameter([1, 3, 8, 8], np.float32, name="data")
    data.output(0).get_tensor().set_names({"data"})
    pooled = ops.reduce_mean(data, np.array([2, 3]), keep_dims=False)
    output = ops.softmax(pooled, axis=1)
    output.output(0).get_tensor().set_names({"prob"})
    network = ov.Model([output], [data], "foreign")
    network.set_rt_info("cat dog big_bird", ["model_info", "labels"])
    network.set_rt_info(True, ["model_info", "multilabel"])
    network.set_rt_info([1.5, 2.0], ["model_info", "scale_values"])
    network.set_rt_info("/home/somebody/model.onnx", ["conversion_parameters", "input_model"])
    ov.save_model(network, tmp_path / "foreign.xml")
    foreign = load_classifier(tmp_path / "foreign.xml", device="CPU", layout="NCHW", labels=("a b", "c", "d"))
    served = replace(plain_server.repository.find(MODEL), classifier=foreign)
    assert model_metadata(served)["rt_info"] == {
        "model_info": {"model_type": "Classification", "labels": "a_b c d", "multilabel": "YES",
                       "scale_values": "1.5 2"},
    }  # fmt: skip


def test_metadata_of_an_ir_without_rt_info(known_classifier: Classifier, plain_server: RunningGrpc) -> None:
    served = replace(plain_server.repository.find(MODEL), classifier=known_classifier)
    assert model_metadata(served)["rt_info"] == {"model_info": {"model_type": "Classification"}}


@pytest.fixture
def known_classifier(tmp_path: Path) -> Classifier:
    import openvino as ov
    from openvino import opset13 as ops

    data = ops.parameter([1, 8, 8, 3], np.float32, name="data")
    data.output(0).get_tensor().set_names({"data"})
    output = ops.softmax(ops.reduce_mean(data, np.array([1, 2]), keep_dims=False), axis=1)
    network = ov.Model([output], [data], "bare")
    ov.save_model(network, tmp_path / "bare.xml")
    return load_classifier(tmp_path / "bare.xml", device="CPU", layout="NHWC")


def test_configuration_is_one_document_for_both_transports(plain_server: RunningGrpc) -> None:
    status, document = request(plain_server, "GET", f"/v2/models/{MODEL}/config")
    assert status == 200
    assert document == request(plain_server, "GET", f"/v2/models/{MODEL}/versions/1/config")[1]
    with triton_client(plain_server) as client:
        message = client.get_model_config(MODEL).config
    assert message == ParseDict(document, model_config_pb2.ModelConfig())
    assert (message.name, message.max_batch_size) == (MODEL, plain_server.settings.max_images)
    [given], [answer] = message.input, message.output
    assert (given.name, given.data_type, list(given.dims)) == ("input", model_config_pb2.TYPE_UINT8, [-1, -1, 3])
    assert (answer.name, answer.data_type, list(answer.dims)) == ("logits", model_config_pb2.TYPE_FP32, [16])
    assert message.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_CPU


def test_configuration_of_an_unknown_model_or_version(plain_server: RunningGrpc) -> None:
    for path in ("/v2/models/no/config", f"/v2/models/{MODEL}/versions/2/config", "/v2/models/no/stats"):
        status, document = request(plain_server, "GET", path)
        assert status == 404
        assert list(document) == ["error"]


def test_statistics_are_the_same_over_both_transports(plain_server: RunningGrpc) -> None:
    frame = np.zeros((1, 20, 20, 3), np.uint8)
    given = InferInput("input", frame.shape, "UINT8")
    given.set_data_from_numpy(frame)
    with triton_client(plain_server) as client:
        for _ in range(3):
            client.infer(MODEL, [given])
        with pytest.raises(InferenceServerException):
            client.infer(MODEL, [given], timeout=-1)
        plain_server.wait_for_record(4)
        [counted] = client.get_inference_statistics(MODEL).model_stats
        assert client.get_inference_statistics().model_stats[0] == counted
    assert (counted.name, counted.version, counted.inference_count) == (MODEL, "1", 3)
    assert (counted.inference_stats.success.count, counted.inference_stats.fail.count) == (3, 1)
    assert counted.inference_stats.success.ns >= counted.inference_stats.compute_infer.ns > 0
    for path in (f"/v2/models/{MODEL}/stats", "/v2/models/stats", f"/v2/models/{MODEL}/versions/1/stats"):
        _, document = request(plain_server, "GET", path)
        assert document["model_stats"][0]["inference_stats"]["success"]["ns"] == counted.inference_stats.success.ns


def test_load_and_unload_are_off_by_default(plain_server: RunningGrpc) -> None:
    with triton_client(plain_server) as client:
        for act in (client.load_model, client.unload_model):
            with pytest.raises(InferenceServerException, match="--allow-model-control") as caught:
                act(MODEL)
            assert "PERMISSION_DENIED" in str(caught.value.status())
    for path in (f"/v2/repository/models/{MODEL}/load", f"/v2/repository/models/{MODEL}/unload"):
        status, document = request(plain_server, "POST", path)
        assert (status, "--allow-model-control" in document["error"]) == (403, True)
    assert plain_server.repository.is_ready


def test_unload_and_load_over_grpc(control_server: RunningGrpc) -> None:
    with triton_client(control_server) as client:
        client.unload_model(MODEL)
        assert not client.is_model_ready(MODEL)
        [entry] = client.get_model_repository_index().models
        assert (entry.name, entry.version, entry.state) == (MODEL, "1", "UNAVAILABLE")
        assert entry.reason
        with pytest.raises(InferenceServerException) as caught:
            client.get_model_metadata(MODEL)
        assert "UNAVAILABLE" in str(caught.value.status())
        client.load_model(MODEL)
        assert client.is_model_ready(MODEL)


def test_unload_and_load_over_http(control_server: RunningGrpc) -> None:
    """With the bodies that tritonclient's HTTP client sends."""
    unload = b'{"parameters": {"unload_dependents": false}}'
    assert request(control_server, "POST", f"/v2/repository/models/{MODEL}/unload", unload)[0] == 200
    everything = request(control_server, "POST", "/v2/repository/index")[1]
    assert [(one["name"], one["version"], one["state"]) for one in everything] == [(MODEL, "1", "UNAVAILABLE")]
    assert request(control_server, "POST", "/v2/repository/index", b'{"ready": true}') == (200, [])
    assert request(control_server, "POST", f"/v2/repository/models/{MODEL}/load", b"{}")[0] == 200
    assert request(control_server, "POST", "/v2/repository/index", b'{"ready": true}') == (
        200, [{"name": MODEL, "version": "1", "state": "READY", "reason": ""}]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("models/../load", b"", 404), ("models/other/load", b"", 404), ("models/other/unload", b"", 404),
        (f"models/{MODEL}/load", b'{"parameters": {"config": "{}"}}', 400),
        (f"models/{MODEL}/load", b'{"parameters": {"file:1/model.xml": "AAAA"}}', 400),
        (f"models/{MODEL}/load", b'{"parameters": []}', 400), (f"models/{MODEL}/load", b"[]", 400),
        (f"models/{MODEL}/load", b"{", 400), (f"models/{MODEL}/load", b"[" * 50_000, 400),
        (f"models/{MODEL}/unload", b'{"parameters": {"other": 1}}', 400), ("index", b'{"ready": 1}', 400),
        ("index", b"\xff", 400), ("index", b'{"a": "\xff"}', 400), ("index", b"[" + b"[]," * 30_000 + b"[]]", 413),
    ],
)  # fmt: skip
def test_invalid_control_requests(control_server: RunningGrpc, path: str, body: bytes, status: int) -> None:
    assert request(control_server, "POST", f"/v2/repository/{path}", body)[0] == status
    assert control_server.repository.is_ready


def test_grpc_refuses_other_models_and_files(control_server: RunningGrpc) -> None:
    with triton_client(control_server) as client:
        attempts: list[tuple[str, Callable[[], Any]]] = [
            ("NOT_FOUND", lambda: client.load_model("/etc/passwd")),
            ("INVALID_ARGUMENT", lambda: client.load_model(MODEL, config="{}")),
            ("INVALID_ARGUMENT", lambda: client.load_model(MODEL, config="{}", files={"file:1/model.xml": b"<net/>"})),
            ("NOT_FOUND", lambda: client.unload_model("other")),
        ]
        for code, act in attempts:
            with pytest.raises(InferenceServerException) as caught:
                act()
            assert code in str(caught.value.status())
    with grpc.insecure_channel(control_server.address) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/RepositoryIndex")
        with pytest.raises(grpc.RpcError, match="repository_name"):
            call(b"\x0a\x01x")
    assert control_server.repository.is_ready


def test_index_is_read_by_post_only(plain_server: RunningGrpc) -> None:
    assert request(plain_server, "GET", "/v2/repository/index")[0] == 405


def test_configuration_names_the_batches_of_the_queue(plain_server: RunningGrpc, classifier: Classifier) -> None:
    settings = replace(plain_server.settings, max_wait_ms=0.25, max_images=3)
    queue = AsyncQueue(classifier, batch_size=4, requests=2)
    document = model_config(replace(plain_server.repository.find(MODEL), queue=queue), settings)
    assert document["dynamic_batching"] == {"preferred_batch_size": [4], "max_queue_delay_microseconds": 250}
    assert document["max_batch_size"] == 3
    assert document["instance_group"][0]["count"] == 2
