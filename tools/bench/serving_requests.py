"""Requests as the bytes that are sent, prepared once, so that a client costs next to nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

Ask = Callable[[], bytes]
TIMEOUT_S = 60


def http_post(path: str, body: bytes, content_type: str, **headers: str) -> bytes:
    """A request of HTTP/1.1 on a connection that stays open."""
    lines = [
        f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}", f"Content-Length: {len(body)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + body


def rest_binary(model: str, input_name: str, tensor: NDArray[Any], *, binary_output: bool = True) -> bytes:
    """`infer` with the tensor as bytes behind the JSON."""
    head = json.dumps({
        "inputs": [{
            "name": input_name, "datatype": _datatype(tensor), "shape": tensor.shape,
            "parameters": {"binary_data_size": tensor.nbytes},
        }],
        "parameters": {"binary_data_output": binary_output},
    }).encode()  # fmt: skip
    return http_post(
        f"/v2/models/{model}/infer", head + tensor.tobytes(), "application/octet-stream",
        Inference_Header_Content_Length=str(len(head)),
    )  # fmt: skip


def rest_json(model: str, input_name: str, tensor: NDArray[Any]) -> bytes:
    """`infer` with the tensor as JSON numbers, answered in JSON."""
    values = tensor.ravel().tolist()
    described = {"name": input_name, "datatype": _datatype(tensor), "shape": tensor.shape, "data": values}
    return http_post(f"/v2/models/{model}/infer", json.dumps({"inputs": [described]}).encode(), "application/json")


def rest_classify(jpeg: bytes, model: str) -> bytes:
    """`classify` with an image file as the body."""
    return http_post(f"/v1/classify?model={model}", jpeg, "image/jpeg")


def grpc_infer(model: str, input_name: str, tensor: NDArray[Any]) -> bytes:
    """A `ModelInferRequest` with raw contents."""
    from tritonclient.grpc import service_pb2

    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name=input_name, datatype=_datatype(tensor), shape=tensor.shape)
    request.raw_input_contents.append(tensor.tobytes())
    message: bytes = request.SerializeToString()
    return message


def grpc_values(message: bytes) -> NDArray[np.float32]:
    """The first output in a `ModelInferResponse`, flat."""
    from tritonclient.grpc import service_pb2

    response = service_pb2.ModelInferResponse.FromString(message)
    if response.raw_output_contents:
        return np.frombuffer(response.raw_output_contents[0], np.float32)
    return np.array(response.outputs[0].contents.fp32_contents, np.float32)


class RestClient:
    """One connection of HTTP that stays open.

    Attributes:
        is_last: the server has announced that it closes the connection.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_last = False

    def ask(self, request: bytes) -> bytes:
        """Send a request and return the body of its response. Raises: RuntimeError for any status but 200."""
        status, body = self.ask_any(request)
        if status != 200:
            raise RuntimeError(f"status {status}: {body[:300]!r}")
        return body

    def ask_any(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and return status and body. Raises: ConnectionError."""
        self._socket.sendall(request)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._read()
        head = received[:end].lower()
        self.is_last = b"connection: close" in head
        at = head.index(b"content-length:") + 15
        length = int(head[at:].split(b"\r\n", 1)[0])
        parts, missing = [received[end + 4 :]], length - (len(received) - end - 4)
        while missing > 0:
            parts.append(self._read())
            missing -= len(parts[-1])
        return int(head.split(b" ", 2)[1]), b"".join(parts)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _read(self) -> bytes:
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class GrpcClient:
    """One channel of gRPC that passes messages as bytes."""

    def __init__(self, port: int) -> None:
        import grpc

        options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)
        self._infer = self._channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", _registered_method=False)

    def ask(self, request: bytes) -> bytes:
        """Send a message of ModelInfer and return the response. Raises: grpc.RpcError."""
        answer: bytes = self._infer(request, timeout=TIMEOUT_S)
        return answer

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _datatype(tensor: NDArray[Any]) -> str:
    return {"uint8": "UINT8", "float32": "FP32"}[tensor.dtype.name]
