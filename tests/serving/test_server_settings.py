"""`ServerSettings`, names of models, the token file: what is refused before a port is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ov_mobilenet import Server, ServerSettings, UsageError
from ov_mobilenet.runtime.model_names import models_by_name
from ov_mobilenet.serving.settings import RANGES
from ov_mobilenet.serving.token_file import read_token

TOKEN = "0123456789abcdef"
SAMPLE = "mobilenet-v1-0.25-128-signs"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert ServerSettings(host=host).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "::ffff:10.0.0.1", "localhost.evil"])
def test_another_address_needs_a_token_or_the_wish_to_have_none(host: str) -> None:
    with pytest.raises(UsageError, match=r"--token-file.*--insecure-no-auth") as raised:
        ServerSettings(host=host)
    assert host in str(raised.value)
    assert not ServerSettings(host=host, token=TOKEN).is_loopback
    assert not ServerSettings(host=host, insecure_no_auth=True).is_loopback


@pytest.mark.parametrize("name", RANGES)
def test_numbers_have_a_range(name: str) -> None:
    low, high = RANGES[name]
    for value in (low - 1, high + 1, -(10**30), 10**30):
        given: dict[str, Any] = {name: value}
        with pytest.raises(UsageError, match=f"invalid {name}: expected .* to .*, got"):
            ServerSettings(**given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"token": "short"}, "invalid token: too short: expected at least 16 characters, got 5"),
        ({"token": "x" * 20 + "\n"}, "invalid token: expected printable ASCII"),
        ({"token": "x y" * 10}, "invalid token: expected printable ASCII"),
        ({"token": "é" * 20}, "invalid token: expected printable ASCII"),
        ({"tls_cert": Path("cert.pem")}, "expected both tls_cert and tls_key, or none, got only tls_cert"),
        ({"tls_key": Path("key.pem")}, "expected both tls_cert and tls_key, or none, got only tls_key"),
        ({"port": 8001}, "port and grpc_port are the same"),
        ({"host": ""}, "invalid host"),
        ({"host": "[::1]"}, "invalid host"),
        ({"allowed_hosts": ("a", "http://b/")}, "invalid allowed_hosts: .*'http://b/'"),
        ({"max_body_bytes": 1 << 30}, "invalid max_buffered_bytes: expected at least max_body_bytes"),
        ({"log_format": "xml"}, "invalid log_format: expected text or json"),
        ({"max_queue": "many"}, "invalid max_queue: expected an integer"),
    ],
)
def test_invalid_settings_are_errors(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        ServerSettings(**settings)
    assert "x y" not in str(raised.value), "a token must not be shown"


def test_names_of_models() -> None:
    assert list(models_by_name([SAMPLE, "hf:timm/mobilenetv3_small@main", "hf:me/repo/nets/mine.onnx"])) == [
        SAMPLE, "mobilenetv3_small", "mine",
    ]  # fmt: skip
    assert list(models_by_name([Path("public/own/FP16/own.xml"), "configs/cats/model.yml", "dogs.yml"])) == [
        "own", "cats", "dogs",
    ]  # fmt: skip
    named = models_by_name([SAMPLE], [("second", SAMPLE)])
    assert list(named) == [SAMPLE, "second"]
    assert models_by_name({"a": SAMPLE}) == {"a": SAMPLE}
    assert models_by_name(SAMPLE) == {SAMPLE: SAMPLE}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "no models"), ({}, "no models"), (5, "invalid models"), ([None], "invalid models"),
        ([SAMPLE, SAMPLE], "two models have the same name: got mobilenet-v1-0.25-128-signs.*--name"),
        (["a/x.xml", "b/x.xml"], "two models have the same name: got x"),
        ({"a b": SAMPLE}, "invalid name of one of the models"), ({"../x": SAMPLE}, "invalid name"),
        ({"": SAMPLE}, "invalid name"), ({"x" * 129: SAMPLE}, "invalid name"), ({"a/infer": SAMPLE}, "invalid name"),
        (["a/my model.xml"], "invalid name of one of the models.*--name NAME=MODEL"),
    ],
)  # fmt: skip
def test_names_that_cannot_be_served_are_errors(models: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Server(models)


@pytest.mark.parametrize("options", [{"geometry": "resize 128"}, {"labels": ("a",)}, {"profile": "tuned.yml"}])
def test_options_for_a_single_model_are_refused_for_several(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(options))} is for a single model: .*2 models: a, b"):
        Server({"a": SAMPLE, "b": SAMPLE}, **options)


def test_the_token_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "token"
    path.write_text(f"\n {TOKEN} \r\n")
    path.chmod(0o600)
    assert read_token(path) == TOKEN
    assert caplog.text == ""
    path.chmod(0o644)
    assert read_token(path) == TOKEN
    if os.name == "posix":
        assert "every user of this machine can read the token" in caplog.text
    for content in (b"", b" \n", b"\xff" * 20, b"x" * 5000):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="the token file holds no token"):
            read_token(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(tmp_path / "missing")
