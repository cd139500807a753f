from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving.raw_http import RawResponse, exchange, request

from ov_mobilenet import Classifier
from ov_mobilenet.serving.server import Server
from ov_mobilenet.serving.settings import ServerSettings

INFER = b'{"inputs": [{"name": "input", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 3]}]}'
NAMES = ("ready", "V1-0.25_x")


def get(server: Server, path: str, method: str = "GET") -> RawResponse:
    return exchange(server.port, request(method, path), to=method)


@pytest.fixture(scope="module")
def named(signs_classifier: Classifier) -> Iterator[Server]:
    """A server of models with names that look like a path, and of all characters."""
    settings = ServerSettings(port=0, grpc_port=None)
    with Server(dict.fromkeys(NAMES, signs_classifier), settings) as server:
        yield server


def test_health(server: Server) -> None:
    assert get(server, "/v2/health/live").body == b'{"live":true}'
    assert get(server, "/v2/health/ready").body == b'{"ready":true}'


def test_the_server_describes_itself(server: Server) -> None:
    document = get(server, "/v2").document
    assert document["name"] == "ov-mobilenet"
    assert {"binary_tensor_data", "classification"} <= set(document["extensions"])


@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_paths_of_a_model(server: Server, version: str) -> None:
    path = f"/v2/models/signs{version}"
    assert get(server, path).document["name"] == "signs"
    assert get(server, f"{path}/ready").document == {"name": "signs", "ready": True}
    assert get(server, f"{path}/config").document["name"] == "signs"
    assert get(server, f"{path}/stats").document["model_stats"][0]["name"] == "signs"


@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_infer(server: Server, sign_files: list[Path], version: str) -> None:
    file = sign_files[0].read_bytes()
    head = json.dumps(
        {
            "id": "7",
            "inputs": [
                {
                    "name": "input", "datatype": "BYTES", "shape": [1],
                    "parameters": {"binary_data_size": len(file) + 4},
                }
            ],
        }
    ).encode()  # fmt: skip
    body = head + len(file).to_bytes(4, "little") + file
    answer = exchange(
        server.port,
        request("POST", f"/v2/models/signs{version}/infer", f"Inference-Header-Content-Length: {len(head)}", body=body),
    )
    assert answer.status == 200
    assert answer.document["id"] == "7"
    assert answer.document["outputs"][0]["shape"] == [1, 16]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v2", "GET, HEAD"), ("PUT", "/v2/health/live", "GET, HEAD"),
        ("DELETE", "/v2/models/signs", "GET, HEAD"),
        ("GET", "/v2/models/signs/infer", "POST"), ("GET", "/v2/models/signs/versions/1/infer", "POST"),
        ("POST", "/v2/models/signs/ready", "GET, HEAD"), ("PATCH", "/v2/models/signs/config", "GET, HEAD"),
        ("GET", "/v2/repository/index", "POST"), ("GET", "/v2/repository/models/signs/load", "POST"),
        ("GET", "/v1/classify", "POST"), ("OPTIONS", "/v1/classify", "POST"), ("TRACE", "/v2", "GET, HEAD"),
        ("OPTIONS", "/v2", "GET, HEAD"),
    ],
)  # fmt: skip
def test_a_wrong_method(server: Server, method: str, path: str, allowed: str) -> None:
    answer = get(server, path, method)
    assert answer.status == 405
    assert answer.headers["allow"] == allowed
    assert allowed in answer.error


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere", "/v2/", "/v2/health", "/v2/health/live/", "/V2", "//v2", "/v2/models", "/v2/models/",
        "/v2/models/signs/", "/v2/models/signs/nothing", "/v2/models/a%2Fready", "/v2/models/signs%2Fready",
        "/v2/models/other", "/v2/models/signs/versions/2",
        "/v2/models/signs/versions/1/nothing", "/v2/models/%00", "/v2/models/%ff%fe", "/v2/models/" + "x" * 5000,
        "/v2/models/../models/signs/x", "/%76%32", "/v2/models/%1b[31m", "/../../etc/passwd", "/..%2f..%2fetc/passwd",
    ],
)  # fmt: skip
def test_an_unknown_path(server: Server, path: str) -> None:
    answer = get(server, path)
    assert answer.status == 404
    assert answer.error.isprintable()
    assert len(answer.error) < 400


def test_head_is_get_without_the_body(server: Server) -> None:
    answer = get(server, "/v2/health/live", "HEAD")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "13")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity", "\xff"])
@pytest.mark.parametrize("path", ["/v1/classify", "/v2/models/signs/infer", "/v2/repository/index"])
def test_content_encodings(server: Server, encoding: str, path: str) -> None:
    answer = exchange(server.port, request("POST", path, f"Content-Encoding: {encoding}", body=b"{}"))
    assert answer.status == 415
    assert answer.error
    assert exchange(server.port, request("POST", path, "Content-Encoding: identity", body=b"{}")).status in (
        200,
        400,
        422,
    )


@pytest.mark.parametrize("length", ["", "x", "-1", "1.5", "99999999999999999999", "0x1", "\xb2"])
def test_an_invalid_header_length(server: Server, length: str) -> None:
    data = request("POST", "/v2/models/signs/infer", f"Inference-Header-Content-Length: {length}", body=b"{}")
    assert exchange(server.port, data).status == 400


@pytest.mark.parametrize("name", NAMES)
def test_names_of_models(named: Server, name: str) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in name.encode())
    for spelling in (name, encoded):
        assert get(named, f"/v2/models/{spelling}").document["name"] == name
        assert get(named, f"/v2/models/{spelling}/ready").document == {"name": name, "ready": True}
        assert get(named, f"/v2/models/{spelling}/versions/1/ready").document == {"name": name, "ready": True}
        answer = exchange(named.port, request("POST", f"/v1/classify?model={spelling}", body=b"junk"))
        assert answer.status == 422


def test_a_model_that_is_not_ready(signs_classifier: Classifier) -> None:
    settings = ServerSettings(port=0, grpc_port=None, allow_model_control=True)
    with Server({"one": signs_classifier, "two": signs_classifier}, settings) as server:
        assert exchange(server.port, request("POST", "/v2/repository/models/one/unload", body=b"")).status == 200
        for data in (
            request("POST", "/v2/models/one/infer", body=INFER),
            request("POST", "/v1/classify?model=one", body=b"junk"),
            request("GET", "/v2/models/one"),
        ):
            answer = exchange(server.port, data)
            assert answer.status == 503
            assert answer.headers["retry-after"]
            assert "not ready" in answer.error
        answer = get(server, "/v2/models/one/ready")
        assert answer.status == 503
        assert answer.document["ready"] is False
        assert get(server, "/v2/models/two/ready").document == {"name": "two", "ready": True}


def test_load_and_unload_are_off(server: Server) -> None:
    for action in ("load", "unload"):
        answer = exchange(server.port, request("POST", f"/v2/repository/models/signs/{action}", body=b""))
        assert answer.status == 403
        assert "--allow-model-control" in answer.error
