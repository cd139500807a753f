"""Names, addresses and settings that Kubernetes or KServe would refuse are errors of the command."""

from __future__ import annotations

from typing import Any

import pytest

from ov_mobilenet import KserveSettings, UsageError
from ov_mobilenet.exporting.service_names import service_name, service_names
from ov_mobilenet.exporting.storage_uri import StorageUri

OWN: dict[str, Any] = {"runtime": "ov-mobilenet", "image": "x:1"}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("signs", "signs"),
        ("mobilenet-v1-0.25-128-signs", "mobilenet-v1-0-25-128-signs"),
        ("MobileNet_V2", "mobilenet-v2"),
        ("a__b..c", "a-b-c"),
        ("_private", "private"),
        ("trailing.", "trailing"),
        ("x" * 47, "x" * 47),
    ],
)
def test_the_name_of_a_service(model: str, expected: str) -> None:
    assert service_name(model) == expected


@pytest.mark.parametrize("model", ["0.25", "___", "9lives", "x" * 48, "ßß"])
def test_names_that_give_no_service_are_errors(model: str) -> None:
    with pytest.raises(UsageError, match="--name NAME=MODEL"):
        service_name(model)


def test_two_models_with_the_same_service_are_an_error() -> None:
    assert service_names(["a.b", "a"]) == {"a.b": "a-b", "a": "a"}
    with pytest.raises(UsageError, match=r"a-b from a\.b and a_b"):
        service_names(["a.b", "a_b"])


@pytest.mark.parametrize(
    ("uri", "of_model"),
    [
        ("s3://bucket", "s3://bucket/signs/"),
        ("s3://bucket/some/models/", "s3://bucket/some/models/signs/"),
        ("gs://bucket/models", "gs://bucket/models/signs"),
        ("pvc://claim", "pvc://claim/signs"),
        ("pvc://claim/models", "pvc://claim/models/signs"),
        ("https://account.blob.core.windows.net/models", "https://account.blob.core.windows.net/models/signs"),
        ("https://example.com:8443/models", "https://example.com:8443/models/signs.tar.gz"),
        ("https://account.blob.core.windows.net.example.com/m",
         "https://account.blob.core.windows.net.example.com/m/signs.tar.gz"),
    ],
)  # fmt: skip
def test_where_a_model_is(uri: str, of_model: str) -> None:
    assert StorageUri.parse(uri).of_model("signs") == of_model


@pytest.mark.parametrize(
    "uri",
    [
        "", "models", "/models", "file:///models", "http://example.com/models", "s3://", "s3:///models", "S4://bucket",
        "s3://bucket/a b", "s3://bucket/a\nb", "s3://bucket/$(id)", "s3://bucket/`id`", "s3://bucket/'", "s3://bucket/a?b",
        "s3://bucket/#a", "s3://bucket/../a", "https://[::1/models", "s3://bücket", "s3://bucket\u202e",
    ],
)  # fmt: skip
def test_invalid_storage(uri: str) -> None:
    with pytest.raises(UsageError, match="invalid storage_uri"):
        StorageUri.parse(uri)


def test_credentials_do_not_belong_into_the_address() -> None:
    with pytest.raises(UsageError, match="service account") as caught:
        StorageUri.parse("https://user:secret@example.com/models")
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "https://user:secret$@example.com/models", "s3://key:se/cret@bucket/a b", "https://[user:secret@example.com",
        "https://account.blob.core.windows.net/models?sv=1&sig=secret", "s3://bucket/#secret",
    ],
)  # fmt: skip
def test_an_invalid_address_is_shown_without_credentials(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        StorageUri.parse(uri)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"runtime": "triton"}, "runtime"),
        ({"protocol": "v1"}, "protocol"),
        ({"device": "NPU"}, "device"),
        ({"gpu_resource": "nvidia.com/gpu"}, "gpu_resource"),
        ({"cpu_limit": "two"}, "cpu_limit"),
        ({"cpu_limit": "0"}, "cpu_limit"),
        ({"cpu_limit": "1Gi"}, "cpu_limit"),
        ({"memory_limit": "1m"}, "memory_limit"),
        ({"memory_limit": "-1"}, "memory_limit"),
        ({"memory_limit": "1 Gi"}, "memory_limit"),
        ({"cpu_request": "3"}, "cpu_request is above cpu_limit: expected at most 2, got 3"),
        ({"cpu_request": "2001m"}, "cpu_request is above"),
        ({"memory_request": "1025Mi"}, "memory_request is above"),
        ({"memory_request": "2G"}, "memory_request is above"),
        ({"namespace": "Vision"}, "namespace"),
        ({"namespace": ""}, "namespace"),
        ({"namespace": "a.b"}, "namespace"),
        ({"service_account": "a b"}, "service_account"),
        ({"token_secret": "../x"}, "token_secret"),
        ({"image": "a b"}, "image"),
        ({"image": "$(id)"}, "image"),
        ({"insecure_no_auth": True}, "the runtime ov-mobilenet"),
        ({"allowed_hosts": ("a",)}, "the runtime ov-mobilenet"),
        ({"runtime": "ov-mobilenet"}, r"needs an image.*docker build -f demos/edge/serve\.Dockerfile"),
        ({**OWN, "insecure_no_auth": True}, r"Host header.*--allowed-host"),
        ({**OWN, "allowed_hosts": ("http://a",)}, "allowed_hosts"),
        ({**OWN, "allowed_hosts": ("a:80",)}, "allowed_hosts"),
    ],
)
def test_invalid_settings(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        KserveSettings(**values)


@pytest.mark.parametrize(("limit", "threads"), [("2", 2), ("500m", 1), ("1.9", 1), ("3500m", 3), ("16", 16)])
def test_threads_follow_the_limit_of_cpus(limit: str, threads: int) -> None:
    assert KserveSettings(cpu_request="100m", cpu_limit=limit).threads == threads


@pytest.mark.parametrize("flattens", [False, True])
def test_the_files_of_a_model_in_s3_keep_their_folders(flattens: bool) -> None:
    """As KServe copies them; older releases put a file that begins as the last folder at the top."""
    objects = ["m/signs/1/signs.xml", "m/signs/1/signs.bin", "m/signs2/1/signs2.xml", "m/signs-2/1/signs-2.xml"]
    path = StorageUri.parse("s3://bucket/m").of_model("signs")[len("s3://bucket/") :]
    last = path.rpartition("/")[2]
    mounted = [
        key.rpartition("/")[2]
        if flattens and last and key.rpartition("/")[2].startswith(last)
        else key.removeprefix(path).lstrip("/")
        for key in objects
        if key.startswith(path)
    ]
    assert mounted == ["1/signs.xml", "1/signs.bin"]
