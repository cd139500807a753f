"""Requests that are wrong in one or more places: HTTP bytes, JSON documents, images, gRPC messages.

Each is made from a number alone, so that a failure can be repeated.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tritonclient.grpc import service_pb2

Transport = Literal["http", "grpc"]
METHODS = (
    "ModelInfer", "ModelMetadata", "ModelReady", "ModelConfig", "ModelStatistics", "RepositoryIndex", "ServerLive",
    "ServerReady", "ServerMetadata", "RepositoryModelLoad", "RepositoryModelUnload", "ModelStreamInfer", "NoSuchMethod",
)  # fmt: skip
PATHS = (
    "/v2", "/v2/", "/v2/health/live", "/v2/models/signs", "/v2/models/signs/ready", "/v2/models/signs/config",
    "/v2/models/signs/stats", "/v2/models/signs/versions/1", "/v2/models/signs/infer", "/v2/repository/index",
    "/v1/classify", "/v1/classify?top_k=3", "/metrics", "/", "/v2/models/%2e%2e%2f%2e%2e/infer", "/v2/models//infer",
    "/v2/models/signs/versions/1/infer", "/../../etc/passwd", "*", "http://example.org/v2",
)  # fmt: skip
# In place of a value of a JSON document.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 255, 256, 300, 2**31, 2**63, -(2**63), 2**64, 1e308, -0.0, 0.5, "", "1", "input",
    "\x00", "\ud800", "ä" * 300, "../../etc/passwd", [], [[]], [None], {}, {"": {}}, [1, [2, [3]]], [-1] * 9,
    "a" * 10_000,
)  # fmt: skip
HEADERS = (
    "Content-Length: 5", "Content-Length: -1", "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked", "Content-Encoding: gzip", "Content-Encoding: br", "Expect: 100-continue",
    "Inference-Header-Content-Length: 0", "Inference-Header-Content-Length: -7", "Host: evil.example",
    "Inference-Header-Content-Length: 999999999999", "Inference-Header-Content-Length: x", "Upgrade: websocket",
    "Connection: upgrade", "Connection: close", "Content-Type: multipart/form-data", "Origin: http://evil.example",
    "Content-Type: multipart/form-data; boundary=x", "X: " + "y" * 9000, "Range: bytes=0-1", "Accept: text/html",
    "traceparent: 00-0-0-0", "X-Request-Id: \x01\x02", "Authorization: Bearer x",
)  # fmt: skip


@dataclass(frozen=True)
class FuzzedRequest:
    """What is sent, as it is: all bytes of an HTTP connection, or the message of a gRPC call.

    Attributes:
        method: of gRPC.
    """

    kind: str
    transport: Transport
    data: bytes
    method: str = ""


def mutated(data: bytes, rng: random.Random, times: int) -> bytes:
    """Bytes with some changed, deleted, inserted, repeated or moved."""
    changed = bytearray(data)
    for _ in range(times):
        at = rng.randrange(len(changed) + 1)
        end = min(len(changed), at + rng.choice((1, 1, 2, 4, 30, 300)))
        match rng.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                del changed[at:end]
            case 2:
                changed[at:at] = rng.randbytes(rng.choice((1, 1, 4, 64)))
            case 3:
                changed[at:at] = changed[at:end]
            case 4:
                changed[at:end] = rng.choice((b"\r\n", b"\0", b"\xff" * 4, b'"', b"{", b"]", b"-1", b"\x80\x00"))
            case _:
                del changed[at:]
    return bytes(changed)


def http_request(path: str, body: bytes, headers: list[str], method: str = "POST") -> bytes:
    """The bytes of a request whose headers are as given, with a length unless they have one."""
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in headers):
        headers = [*headers, f"Content-Length: {len(body)}"]
    head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""))
    return head.encode("utf-8", "surrogatepass") + body


def with_changed_values(document: Any, rng: random.Random) -> Any:
    """A JSON document with one value changed, removed or added."""
    places: list[Callable[[], None]] = []

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            for key in list(part):
                places.append(lambda part=part, key=key: part.update({key: rng.choice(VALUES)}))  # type: ignore[misc]
                places.append(lambda part=part, key=key: part.pop(key, None))  # type: ignore[misc]
                collect(part[key])
            places.append(
                lambda: part.update({rng.choice(("", "shape", "parameters", "data", "x")): rng.choice(VALUES)})
            )
        elif isinstance(part, list):
            places.append(lambda: part.append(rng.choice(VALUES)))
            places.append(lambda: part.__setitem__(slice(0, 1), [rng.choice(VALUES)]))
            for element in part[:3]:
                collect(element)

    collect(document)
    rng.choice(places)()
    return document


def document(rng: random.Random) -> dict[str, Any]:
    """A valid request in JSON."""
    return {
        "id": "7", "parameters": {"binary_data_output": rng.random() < 0.5, "timeout": 60_000_000},
        "inputs": [{"name": "input", "datatype": "UINT8", "shape": [1, 2, 2, 3], "data": list(range(12))}],
        "outputs": [{"name": "logits", "parameters": {"classification": 2, "binary_data": False}}],
    }  # fmt: skip


def raw_http(rng: random.Random, image: bytes) -> FuzzedRequest:
    """A valid request with some bytes changed."""
    body = rng.choice((json.dumps(document(rng)).encode(), image, b""))
    method = rng.choice(("GET", "POST", "POST", "HEAD", "OPTIONS", "DELETE", "PRI", "CONNECT"))
    headers = rng.sample(HEADERS, rng.randrange(3))
    return FuzzedRequest(
        "bytes", "http", mutated(http_request(rng.choice(PATHS), body, headers, method), rng, rng.randrange(4))
    )


def json_http(rng: random.Random, image: bytes) -> FuzzedRequest:
    """A JSON document with values that do not belong there."""
    changed: Any = document(rng)
    for _ in range(rng.randrange(1, 4)):
        if isinstance(changed, (dict, list)):
            changed = with_changed_values(changed, rng)
    body = json.dumps(changed, ensure_ascii=True, allow_nan=True).encode()
    return FuzzedRequest("json", "http", http_request("/v2/models/signs/infer", body, []))


def binary_http(rng: random.Random, image: bytes) -> FuzzedRequest:
    """The binary tensor extension with lengths that do not fit."""
    tensor = rng.randbytes(12)
    given = document(rng)
    given["inputs"][0].pop("data")
    size = rng.choice((12, 12, 11, 13, 0, -1, 2**40, "12", None, 1.5))
    given["inputs"][0]["parameters"] = {"binary_data_size": size}
    if rng.random() < 0.3:
        given["inputs"][0].update(datatype="BYTES", shape=[rng.choice((1, 2, -1, 2**40))])
        tensor = rng.choice((5, 2**32 - 1, 8)).to_bytes(4, "little") + tensor[:8]
    head = json.dumps(given).encode()
    length = rng.choice((len(head), len(head), len(head) - 1, len(head) + 1, 0, len(head) + 50, 2**62, -1))
    body = mutated(head + tensor, rng, rng.randrange(2))
    return FuzzedRequest(
        "binary", "http", http_request("/v2/models/signs/infer", body, [f"Inference-Header-Content-Length: {length}"])
    )


def image_http(rng: random.Random, image: bytes) -> FuzzedRequest:
    """A damaged image file, as the body or in a form."""
    damaged = mutated(image, rng, rng.randrange(1, 6))
    path = "/v1/classify" + rng.choice(
        ("", "?top_k=3", "?top_k=0", "?top_k=-1", "?top_k=x", "?model=", "?model=../x", "?%00")
    )
    if rng.random() < 0.6:
        return FuzzedRequest("image", "http", http_request(path, damaged, []))
    names = rng.choice(('name="file"; filename="x.jpg"', 'filename="../../x"', 'name=""', "", 'name="a'))
    form = b"--x\r\nContent-Disposition: form-data; " + names.encode() + b"\r\n\r\n" + damaged + b"\r\n--x--\r\n"
    form = mutated(form, rng, rng.randrange(3))
    return FuzzedRequest("form", "http", http_request(path, form, ["Content-Type: multipart/form-data; boundary=x"]))


def grpc_message(rng: random.Random, image: bytes) -> FuzzedRequest:
    """A message with fields or bytes that do not fit."""
    request = service_pb2.ModelInferRequest(model_name=rng.choice(("signs", "signs", "", "x")), id="7")
    request.model_version = rng.choice(("", "1", "2", "\x00"))
    tensor = request.inputs.add(
        name=rng.choice(("input", "input", "x")), datatype=rng.choice(("UINT8", "FP32", "BYTES", "", "INT64")),
        shape=rng.choice(([1, 2, 2, 3], [1], [], [-1, 2, 2, 3], [2**62, 2**62], [1, 0, 0, 3], [1] * 9)),
    )  # fmt: skip
    match rng.randrange(4):
        case 0:
            request.raw_input_contents.append(rng.randbytes(rng.choice((12, 12, 0, 11))))
        case 1:
            tensor.contents.uint_contents.extend([0, 255, 256, 2**32 - 1] * 3)
        case 2:
            tensor.contents.bytes_contents.append(image)
        case _:
            request.raw_input_contents.append(rng.randbytes(12))
            request.raw_input_contents.append(rng.randbytes(12))
    if rng.random() < 0.3:
        request.outputs.add(name="logits").parameters["classification"].int64_param = rng.choice((0, 2, -1, 2**62))
    if rng.random() < 0.3:
        request.parameters["timeout"].int64_param = rng.choice((0, -1, 2**63 - 1))
    method = "ModelInfer" if rng.random() < 0.7 else rng.choice(METHODS)
    return FuzzedRequest("message", "grpc", mutated(request.SerializeToString(), rng, rng.randrange(3)), method)


MAKERS = (raw_http, json_http, binary_http, image_http, grpc_message)


def fuzzed_request(seed: int, image: bytes) -> FuzzedRequest:
    """The request of a number; the kinds take turns."""
    return MAKERS[seed % len(MAKERS)](random.Random(seed), image)
