"""The one line about a download that failed: the host, the reason in words, and what to do."""

from __future__ import annotations

import logging
import socket
import ssl
from pathlib import Path

import pytest
import requests
from attacks.loopback_server import Exchange, serving
from downloads.fake_transport import DescribeFiles, FakeTransport

from ov_mobilenet.cli.main import main
from ov_mobilenet.downloads.attempts import Retry
from ov_mobilenet.downloads.fetch import download
from ov_mobilenet.downloads.reasons import connection_reason, status_reason
from ov_mobilenet.downloads.transport import http_transport
from ov_mobilenet.errors import DownloadError
from ov_mobilenet.zoo.model import ModelConfig

CONTENT = bytes(range(256))


def nested(*errors: Exception) -> Exception:
    """The errors as requests raises them: each is the context of the one before it."""
    error = errors[-1]
    for outer in reversed(errors[:-1]):
        try:
            try:
                raise error
            except Exception:  # noqa: BLE001
                raise outer  # noqa: B904
        except Exception as raised:  # noqa: BLE001
            error = raised
    return error


@pytest.mark.parametrize(
    ("errors", "words", "advice"),
    [
        ((requests.ConnectionError("<object at 0x7f>"), socket.gaierror(-2, "Name or service not known")),
         "its name cannot be resolved", "network connection"),
        ((requests.ConnectionError("x"), ConnectionRefusedError(111, "refused")), "was refused", "network connection"),
        ((requests.ReadTimeout("x"), TimeoutError("timed out")), "timed out", "later"),
        ((requests.ConnectTimeout("x"),), "timed out", "later"),
        ((requests.exceptions.SSLError("x"), ssl.SSLCertVerificationError("certificate verify failed")),
         "certificate is not accepted", "REQUESTS_CA_BUNDLE"),
        ((requests.exceptions.SSLError("x"), ssl.SSLError(1, "wrong version number")), "encrypted", "network"),
        ((requests.exceptions.ProxyError("x"), OSError("Tunnel connection failed: 407 Authentication Required")),
         "the proxy does not work: Tunnel connection failed: 407", "HTTPS_PROXY"),
        ((requests.ConnectionError("x"), OSError(101, "Network is unreachable")), "cannot be reached", "network"),
        ((requests.ConnectionError("x"), ConnectionResetError(104, "reset")), "closed early", "later"),
        ((requests.ConnectionError("HTTPSConnection object at 0x7fd2"),), "ConnectionError", "network"),
    ],
)  # fmt: skip
def test_a_failed_connection_in_words(errors: tuple[Exception, ...], words: str, advice: str) -> None:
    reason = connection_reason(nested(*errors))
    assert words in reason.words
    assert advice in reason.advice
    assert "0x" not in reason.words


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "no such file"), (410, "no such file"), (403, "refuses access"), (401, "refuses access"),
     (407, "proxy requires a password"), (429, "too many requests"), (500, "the server failed"),
     (503, "the server failed"), (418, "unexpected answer")],
)  # fmt: skip
def test_a_status_in_words(status: int, words: str) -> None:
    reason = status_reason(status)
    assert words in reason.words
    assert f"(status {status})" in reason.words
    assert reason.advice


@pytest.fixture
def config(describe_files: DescribeFiles) -> ModelConfig:
    return describe_files({"net.onnx": (CONTENT, "https://no-such-host.invalid/net.onnx")})


def failure(config: ModelConfig, tmp_path: Path, mirror: str) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        download(
            config, tmp_path / "out", cache_root=tmp_path / "cache", mirror=mirror,
            retry=Retry(attempts=1, sleep=lambda seconds: None), transport=http_transport(allow_http=True),
        )  # fmt: skip
    return caught.value


def empty_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size == 0]


def test_one_line_names_each_host_with_its_reason(
    config: ModelConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ov_mobilenet")
    with serving() as server:
        server.behaviours["/net/net.onnx"] = [lambda exchange: exchange.head(404)]
        message = str(failure(config, tmp_path, server.url))
    assert message.startswith(
        "net: cannot download net.onnx: 127.0.0.1: the server has no such file (status 404); "
        "no-such-host.invalid: connection failed (its name cannot be resolved). Give another source with --mirror. "
        "To download it manually: curl "
    )
    assert "\n" not in message
    assert "Error" not in message and "0x" not in message
    details = caplog.text  # of -v
    assert "NameResolutionError" in details
    assert "sha384" in details
    assert empty_files(tmp_path) == []


def test_a_mirror_that_has_no_such_file_is_named(config: ModelConfig, tmp_path: Path) -> None:
    message = str(failure(config, tmp_path, str(tmp_path / "mirror")))
    assert (
        f"net: cannot download net.onnx: {tmp_path}/mirror/net/net.onnx: No such file or directory; no-such" in message
    )
    assert "Errno" not in message


def test_a_connection_that_ends_after_the_headers_leaves_no_empty_file(config: ModelConfig, tmp_path: Path) -> None:
    def headers_only(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=len(CONTENT), ETag='"1"')

    with serving() as server:
        server.behaviours["/net/net.onnx"] = [headers_only]
        message = str(failure(config, tmp_path, server.url))
    assert "closed early" in message
    assert empty_files(tmp_path) == []


def test_a_download_that_works_leaves_no_empty_file(config: ModelConfig, tmp_path: Path) -> None:
    transport = FakeTransport()
    transport.answers["https://no-such-host.invalid/net.onnx"] = CONTENT
    download(config, tmp_path / "out", cache_root=tmp_path / "cache", transport=transport)
    assert (tmp_path / "out" / "net.onnx").read_bytes() == CONTENT
    assert empty_files(tmp_path) == []
    locks = {path.read_text().strip() for path in (tmp_path / "cache" / "locks").iterdir()}
    assert str(tmp_path / "out" / "net.onnx") in locks


def test_a_model_that_cannot_be_fetched_leaves_no_entry_in_the_cache(
    config: ModelConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["classify", str(config.path), "cat.jpg", "--offline", "--cache-dir", str(tmp_path / "cache")]
    assert main(arguments) == 1
    capsys.readouterr()
    assert main(["cache", "list", "--cache-dir", str(tmp_path / "cache")]) == 0
    assert "0 entries" in capsys.readouterr().err
    assert empty_files(tmp_path) == []
    assert list((tmp_path / "cache" / "ir").iterdir()) == []
