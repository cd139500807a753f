"""Limits, token, TLS, health and reflection of the gRPC server."""

from __future__ import annotations

import asyncio
import queue
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from serving.running_grpc import (
    INFER,
    MODEL,
    HeldQueue,
    RunningGrpc,
    infer_request,
    refusal,
    running_grpc,
    triton_client,
)
from tritonclient.utils import InferenceServerException

from ov_mobilenet import Classifier
from ov_mobilenet.errors import ConfigError, OvMobilenetError
from ov_mobilenet.serving.grpc_transport import grpc_receiving

TOKEN = "0123456789abcdef0123456789abcdef"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
FRAME = np.zeros((1, 16, 16, 3), np.uint8)


def health_status(channel: grpc.Channel, service: str) -> int:
    status: int = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service)).status
    return status


def check_health(server: RunningGrpc) -> None:
    with grpc.insecure_channel(server.address) as channel:
        assert health_status(channel, "") == SERVING


@pytest.mark.parametrize(
    ("authorization", "is_right"),
    [
        (f"Bearer {TOKEN}", True), (f"bearer {TOKEN}", True), (None, False), ("", False), (TOKEN, False),
        (f"Basic {TOKEN}", False), (f"Bearer {TOKEN[:-1]}", False), (f"Bearer {TOKEN}0", False), ("Bearer ", False),
    ],
)  # fmt: skip
def test_calls_need_the_token(token_server: RunningGrpc, authorization: str | None, is_right: bool) -> None:
    headers = None if authorization is None else {"authorization": authorization}
    with triton_client(token_server) as client:
        if is_right:
            assert client.is_model_ready(MODEL, headers=headers)
            return
        with pytest.raises(InferenceServerException) as caught:
            client.get_server_metadata(headers=headers)
    assert "UNAUTHENTICATED" in str(caught.value.status())
    assert TOKEN[:8] not in str(caught.value)


@pytest.fixture(scope="module")
def token_server(classifier: Classifier) -> Iterator[RunningGrpc]:
    with running_grpc(classifier, token=TOKEN) as server:
        yield server


def test_only_health_needs_no_token(token_server: RunningGrpc) -> None:
    with triton_client(token_server) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
    with grpc.insecure_channel(token_server.address) as channel:
        assert health_status(channel, MODEL) == SERVING
        database = ProtoReflectionDescriptorDatabase(channel)
        assert refusal(database.get_services)[0] is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("tokens", [("wrong", TOKEN), (TOKEN, "wrong"), (TOKEN, TOKEN)])
def test_two_tokens_are_refused(token_server: RunningGrpc, tokens: tuple[str, str]) -> None:
    with grpc.insecure_channel(token_server.address) as channel:
        metadata = [("authorization", f"Bearer {token}") for token in tokens]
        ask = channel.unary_unary("/inference.GRPCInferenceService/ServerMetadata", _registered_method=False)
        assert refusal(ask, b"", metadata=metadata)[0] is grpc.StatusCode.UNAUTHENTICATED


def test_the_token_is_checked_before_a_message_arrives(token_server: RunningGrpc) -> None:
    end = threading.Event()

    def no_message() -> Iterator[bytes]:
        end.wait(30)
        yield b""

    with grpc.insecure_channel(token_server.address) as channel:
        code, _ = refusal(channel.stream_unary(INFER), no_message())
        end.set()
    assert code is grpc.StatusCode.UNAUTHENTICATED


def test_health_names_the_server_and_each_model(plain_server: RunningGrpc) -> None:
    with grpc.insecure_channel(plain_server.address) as channel:
        for service in ("", "inference.GRPCInferenceService", MODEL):
            assert health_status(channel, service) == SERVING
        assert refusal(health_status, channel, "other")[0] is grpc.StatusCode.NOT_FOUND


def test_watchers_learn_that_a_model_is_unloaded_and_that_the_server_drains(classifier: Classifier) -> None:
    """Two watchers of one service: the first one leaves, and the second one is still told."""
    with running_grpc(classifier) as server, grpc.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=MODEL)
        first, second = stub.Watch(request, timeout=30), stub.Watch(request, timeout=30)
        assert [next(one).status for one in (first, second)] == [SERVING] * 2
        first.cancel()
        server.run(server.repository.unload(MODEL))
        assert next(second).status == NOT_SERVING
        server.run(server.repository.load(MODEL))
        assert next(second).status == SERVING
        whole = stub.Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(whole).status == SERVING
        server.call(server.server.set_serving, False)
        assert [next(one).status for one in (second, whole)] == [NOT_SERVING] * 2
        with triton_client(server) as client:
            assert not client.is_server_ready()
        server.run(server.server.stop(20))
        assert list(second) == []


def test_a_running_request_is_answered_after_stop(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_grpc(classifier) as server, grpc.insecure_channel(server.address) as channel:
        real = server.repository.find(MODEL).queue
        infer, held = real.infer, threading.Event()
        release = server.call(asyncio.Event)

        async def wait(*arguments: Any, **options: Any) -> Any:
            held.set()
            await release.wait()
            return await infer(*arguments, **options)

        monkeypatch.setattr(real, "infer", wait)
        call = channel.unary_unary(INFER).future(infer_request(FRAME).SerializeToString())
        assert held.wait(30)
        server.loop.call_soon_threadsafe(lambda: server.loop.create_task(server.server.stop(30)))
        server.call(release.set)
        assert call.result(timeout=30)


def test_reflection_lists_the_services_and_their_messages(plain_server: RunningGrpc) -> None:
    with grpc.insecure_channel(plain_server.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) == {
            "inference.GRPCInferenceService", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection",
        }  # fmt: skip
        file = database.FindFileContainingSymbol("inference.GRPCInferenceService")
        assert "ModelInferRequest" in {message.name for message in file.message_type}


def test_a_message_that_does_not_arrive_ends_the_call(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_receiving, "SLOW_S", 0.02)
    with running_grpc(classifier, body_timeout_s=1) as server, grpc.insecure_channel(server.address) as channel:
        source: queue.Queue[bytes] = queue.Queue()
        code, message = refusal(channel.stream_unary(INFER), iter(source.get, None), timeout=30)
        source.put(b"")
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "did not arrive in time" in message
        check_health(server)


def test_too_many_slow_messages_end_the_oldest(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room for two slow messages of the largest size."""
    monkeypatch.setattr(grpc_receiving, "SLOW_S", 0.02)
    limits = {"max_body_bytes": 1 << 20, "max_buffered_bytes": 2 << 20}
    with running_grpc(classifier, **limits) as server, grpc.insecure_channel(server.address) as channel:
        sources = [queue.Queue[bytes]() for _ in range(3)]
        calls = []
        for count, source in enumerate(sources):
            calls.append(channel.stream_unary(INFER).future(iter(source.get, None)))
            if count < 2:  # the server waits for it before the next one starts
                _wait_for_slow(server, count + 1)
        assert refusal(calls[0].result, timeout=30)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        check_health(server)
        sources[2].put(infer_request(FRAME).SerializeToString())
        assert calls[2].result(timeout=30)
        for source in sources:
            source.put(b"")
        calls[1].cancel()


def test_calls_without_a_message_do_not_take_all_places(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a queue of one image there are 130 places; the 66th call without a message ends the first one."""
    monkeypatch.setattr(grpc_receiving, "SLOW_S", 100)
    source: queue.Queue[bytes] = queue.Queue()
    with running_grpc(classifier, max_queue=1) as server, grpc.insecure_channel(server.address) as channel:
        calls = [channel.stream_unary(INFER).future(iter(source.get, None)) for _ in range(66)]
        ended = server.wait_for_record()
        assert ended.code == "RESOURCE_EXHAUSTED"
        assert ended.error is not None
        assert "too many other calls" in ended.error
        assert channel.unary_unary(INFER)(infer_request(FRAME).SerializeToString(), timeout=30)
        for call in calls:
            source.put(b"")
            call.cancel()


def test_large_metadata_is_refused(plain_server: RunningGrpc) -> None:
    with grpc.insecure_channel(plain_server.address) as channel:
        call = channel.unary_unary(INFER)
        code, _ = refusal(call, infer_request(FRAME).SerializeToString(), metadata=[("x-large", "a" * 40_000)])
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    check_health(plain_server)


def test_an_open_reflection_call_does_not_delay_the_stop(classifier: Classifier) -> None:
    source: queue.Queue[bytes] = queue.Queue()
    with running_grpc(classifier) as server, grpc.insecure_channel(server.address) as channel:
        method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        responses = channel.stream_stream(method)(iter(source.get, None), timeout=30)
        source.put(b"\x3a\x01*")  # list_services: "*"
        assert b"inference.GRPCInferenceService" in next(responses)
        stopping = asyncio.run_coroutine_threadsafe(server.server.stop(60), server.loop)
        with pytest.raises(grpc.RpcError, match="the server is stopping"):
            next(responses)
        stopping.result(timeout=30)
        source.put(b"")


def _wait_for_slow(server: RunningGrpc, count: int) -> None:
    """Wait until so many messages are slow."""
    receiver = server.server._health._receiver  # no client can see it
    arrived = threading.Event()

    def look() -> None:
        if len(receiver._slow) >= count:
            arrived.set()
        else:
            server.loop.call_later(0.005, look)

    server.call(look)
    assert arrived.wait(30)


def test_waiting_messages_are_bounded_in_bytes(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"max_body_bytes": 1 << 20, "max_buffered_bytes": 1 << 20}
    frame = np.zeros((1, 400, 500, 3), np.uint8)
    held = HeldQueue()
    with running_grpc(classifier, **limits) as server, grpc.insecure_channel(server.address) as channel:
        real = server.repository.find(MODEL).queue
        monkeypatch.setattr(real, "infer", held.infer)
        data = infer_request(frame).SerializeToString()
        waiting = channel.unary_unary(INFER).future(data)
        assert held.started.wait(30)
        code, message = refusal(channel.unary_unary(INFER), data)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "bytes" in message
        waiting.cancel()
        assert held.cancelled.wait(30)
        monkeypatch.undo()
        server.wait_for_record(2)
        assert channel.unary_unary(INFER)(data)


def test_connections_that_send_nothing_do_not_keep_others_out(plain_server: RunningGrpc) -> None:
    """600 connections that are silent, or stop after the greeting of HTTP/2; the limit of HTTP is 512."""
    greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    opened = []
    try:
        for number in range(600):
            opened.append(socket.create_connection(("127.0.0.1", plain_server.port), timeout=30))
            opened[-1].sendall([b"", greeting, b"GET / HTTP/1.1\r\n\r\n"][number % 3])
        check_health(plain_server)
    finally:
        for one in opened:
            one.close()


def test_a_port_in_use_is_one_message(plain_server: RunningGrpc, classifier: Classifier) -> None:
    """gRPC's default shares the port silently."""
    with (
        pytest.raises(OvMobilenetError, match=r"127\.0\.0\.1:\d+: gRPC cannot listen.*--grpc-port"),
        running_grpc(classifier, grpc_port=plain_server.port),
    ):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_tls(classifier: Classifier, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    with running_grpc(classifier, tls_cert=cert, tls_key=key) as server:
        with grpc.secure_channel(server.address, grpc.ssl_channel_credentials(cert.read_bytes())) as channel:
            assert health_status(channel, "") == SERVING
        with grpc.insecure_channel(server.address) as channel:
            assert refusal(health_status, channel, "")[0] is grpc.StatusCode.UNAVAILABLE


def test_tls_files_that_do_not_fit_are_one_message(
    classifier: Classifier, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    cert, key = certificate
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    for files in ((broken, key), (cert, broken), (cert, tmp_path / "missing.pem")):
        with (
            pytest.raises(ConfigError, match="certificate and its key"),
            running_grpc(classifier, tls_cert=files[0], tls_key=files[1]),
        ):
            pass
