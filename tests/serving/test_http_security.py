from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving.raw_http import exchange, raw_client, request
from serving.sample_server import sample_server

from ov_mobilenet import Classifier
from ov_mobilenet.errors import OvMobilenetError
from ov_mobilenet.serving.http_transport.http_server import listen, tls_context
from ov_mobilenet.serving.server import Server
from ov_mobilenet.serving.settings import ServerSettings

TOKEN = "correct-horse-battery-staple"
LIVE = request("GET", "/v2/health/live")


@pytest.fixture(scope="module")
def closed(signs_classifier: Classifier) -> Iterator[Server]:
    """A server that needs a token."""
    with sample_server(signs_classifier, token=TOKEN, grpc_port=None) as server:
        yield server


@pytest.fixture(scope="module")
def pem_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=here"
    subprocess.run(
        [openssl, *words.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return folder / "cert.pem", folder / "key.pem"


def from_host(host: str, *headers: str) -> bytes:
    return "\r\n".join(["GET /v2 HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode("latin-1")


# Host and Origin


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:8000", "192.168.7.1:80", "[::1]", "[::1]:8000", "localhost", "LocalHost:1234",
        "localhost.:80", socket.gethostname(), f"{socket.gethostname().upper()}:80",
    ],
)  # fmt: skip
def test_names_of_this_machine(server: Server, host: str) -> None:
    assert exchange(server.port, from_host(host)).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "0x7f.1", "127.1"]
)
def test_another_name_is_refused(server: Server, host: str) -> None:
    answer = exchange(server.port, from_host(host))
    assert answer.status == 403
    assert host in answer.error
    assert "--allowed-host" in answer.error


@pytest.mark.parametrize("host", ["127.0.0.1:port", "[::1", "a b", "user@localhost", "localhost/..", "\xff", "a:1:2"])
def test_an_invalid_host(server: Server, host: str) -> None:
    assert exchange(server.port, from_host(host)).status == 400


def test_an_allowed_name(signs_classifier: Classifier) -> None:
    with sample_server(signs_classifier, allowed_hosts=("Signs.example",), grpc_port=None) as server:
        assert exchange(server.port, from_host("signs.example:8000")).status == 200
        assert exchange(server.port, from_host("other.example")).status == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8000", 200), ("http://127.0.0.1:8001", 403), ("http://127.0.0.1", 403),
        ("http://evil.example", 403), ("http://evil.example/127.0.0.1:8000", 403), ("null", 403), ("", 403),
        ("file://", 403),
    ],
)  # fmt: skip
def test_pages_of_other_sites_are_refused(server: Server, origin: str, status: int) -> None:
    answer = exchange(server.port, from_host("127.0.0.1:8000", f"Origin: {origin}"))
    assert answer.status == status
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", ["null", "", "http://"])
def test_an_origin_needs_a_host(server: Server, origin: str) -> None:
    """HTTP/1.0, as some proxies speak it, has none."""
    data = f"GET /v2 HTTP/1.0\r\nOrigin: {origin}\r\n\r\n".encode()
    assert exchange(server.port, data).status == 403


# Token


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}"])
def test_the_token_opens(closed: Server, authorization: str) -> None:
    assert exchange(closed.port, request("GET", "/v2", f"Authorization: {authorization}")).status == 200
    # Whoever has the token may use any name.
    assert exchange(closed.port, from_host("any.example", f"Authorization: {authorization}")).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        [], ["Authorization: Bearer"], ["Authorization: Bearer "], [f"Authorization: Bearer {TOKEN[:-1]}"],
        [f"Authorization: Bearer {TOKEN}x"], [f"Authorization: Basic {TOKEN}"], [f"Authorization: {TOKEN}"],
        [f"X-Authorization: Bearer {TOKEN}"], ["Authorization: Bearer \xff"],
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "path", ["/v2", "/v2/models/signs/infer", "/v1/classify", "/nowhere", "/v2/health/live/../../models/signs"]
)
def test_without_the_token_nothing_is_told(closed: Server, headers: list[str], path: str) -> None:
    answer = exchange(closed.port, request("GET", path, *headers))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.error


def test_a_body_without_the_token_is_not_received(closed: Server) -> None:
    with raw_client(closed.port) as client:
        client.send(request("POST", "/v1/classify", "Content-Length: 1000000") + b"x" * 1000)
        answer = client.response()
        assert answer.status == 401
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["live", "ready"])
def test_health_needs_no_token(closed: Server, path: str) -> None:
    assert exchange(closed.port, request("GET", f"/v2/health/{path}")).document == {path: True}


# Headers of responses


@pytest.mark.parametrize(
    "data", [LIVE, request("GET", "/nowhere"), request("PUT", "/v2"), b"NONSENSE\r\n\r\n"], ids=range(4)
)
def test_headers_of_every_response(server: Server, data: bytes) -> None:
    headers = exchange(server.port, data).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-type"] == "application/json"
    assert not {"server", "date", "x-powered-by"} & set(headers)


def test_the_request_id_comes_back(server: Server) -> None:
    assert exchange(server.port, request("GET", "/v2", "X-Request-Id: job-7")).headers["x-request-id"] == "job-7"
    made = {exchange(server.port, request("GET", "/v2", "X-Request-Id: a b")).headers["x-request-id"] for _ in range(2)}
    assert len(made) == 2
    assert "a b" not in made


# TLS


def test_tls(signs_classifier: Classifier, pem_files: tuple[Path, Path]) -> None:
    cert, key = pem_files
    with sample_server(signs_classifier, tls_cert=cert, tls_key=key, grpc_port=None) as server:
        trusting = ssl.create_default_context(cafile=cert)
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trusting, timeout=30)
        connection.request("GET", "/v2/health/live")
        response = connection.getresponse()
        assert response.read() == b'{"live":true}'
        connection.close()
        with raw_client(server.port, tls=trusting) as client:
            client.send(b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
            answer = client.response()
            assert (answer.status, answer.headers["connection"]) == (413, "close")
        with raw_client(server.port) as plain:
            plain.send(LIVE)
            assert b"HTTP" not in plain.rest()
        old = ssl.create_default_context(cafile=cert)
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError), raw_client(server.port, tls=old):
            pass


def test_a_handshake_has_a_time_limit(signs_classifier: Classifier, pem_files: tuple[Path, Path]) -> None:
    cert, key = pem_files
    with (
        sample_server(signs_classifier, tls_cert=cert, tls_key=key, grpc_port=None, header_timeout_s=0.2) as server,
        raw_client(server.port) as silent,
    ):
        assert silent.is_closed()


def test_handshakes_that_do_not_end_give_way(
    signs_classifier: Classifier, pem_files: tuple[Path, Path], sign_files: list[Path]
) -> None:
    cert, key = pem_files
    trusting = ssl.create_default_context(cafile=cert)
    sign = sign_files[0].read_bytes()
    with sample_server(signs_classifier, tls_cert=cert, tls_key=key, grpc_port=None, max_connections=2) as server:
        with raw_client(server.port) as first, raw_client(server.port), raw_client(server.port):
            first.send(b"\x16\x03\x01")
            assert first.is_closed()
            with raw_client(server.port, tls=trusting) as client:
                # Several records of TLS, also right after the handshake.
                for _ in range(3):
                    client.send(request("POST", "/v1/classify", body=sign))
                    assert client.response().status == 200
        with raw_client(server.port, tls=trusting) as client:
            client.send(LIVE)
            assert client.response().status == 200


@pytest.mark.parametrize("damage", ["missing", "not PEM", "other key", "empty"])
def test_a_certificate_that_cannot_be_used(pem_files: tuple[Path, Path], tmp_path: Path, damage: str) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(pem_files[0].read_bytes())
    if damage == "not PEM":
        key.write_bytes(b"\x00\x01\x02")
    elif damage == "empty":
        key.write_bytes(b"")
    elif damage == "other key":
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True, timeout=60)
    with pytest.raises(OvMobilenetError) as caught:
        tls_context(ServerSettings(tls_cert=cert, tls_key=key))
    assert str(key) in str(caught.value)
    with pytest.raises(OvMobilenetError):
        listen(ServerSettings(port=0, tls_cert=cert, tls_key=key))
