"""A hub whose answers, files and redirects are hostile, and a cache of `huggingface_hub` that somebody changed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks.loopback_server import describe, finish, leftovers, run, says, serving, start
from loopback_hub import TOKEN, LoopbackHub, git_blob

from ov_mobilenet.downloads import hub_client
from ov_mobilenet.downloads.attempts import Retry
from ov_mobilenet.downloads.hub_client import HubFile, HubRepository, fetch_hub_file, read_repository
from ov_mobilenet.errors import DownloadError, OfflineError, OvMobilenetError
from ov_mobilenet.zoo.hub_reference import HubReference, parse_hub_reference

pytest.importorskip("huggingface_hub")

NAME = "owner/net"
REFERENCE = HubReference(repository=NAME)
COMMIT = "0123456789" * 4
CONFIG = b"{}"
ONCE = Retry(attempts=1)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        hub.add(NAME, {"config.json": CONFIG})
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def answer(*files: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"id": NAME, "sha": COMMIT, "siblings": list(files), **keys}


def entry(path: object = "net.bin", size: object = 2, **keys: Any) -> dict[str, Any]:
    return {"rfilename": path, "size": size, "blobId": git_blob(CONFIG), **keys}


def home() -> Path:
    return Path(os.environ["HF_HOME"])


def assert_nothing_outside() -> None:
    """Nothing was written beside the folders that the cache consists of."""
    folder = home() / "hub"
    allowed = {".locks", "models--owner--net"}
    assert {path.name for path in folder.glob("*")} <= allowed and {path.name for path in home().glob("*")} <= {"hub"}
    inside = {path.name for path in (folder / "models--owner--net").glob("*")}
    assert inside <= {"blobs", "refs", "snapshots"}


@pytest.mark.parametrize(
    "path",
    ["../evil", "a/../../../evil", "/etc/evil", "a\\..\\evil", "C:evil", "a//b", "./a", "", "a\x1b[31mb", "a\nb",
     "a\u202eb", "x" * 501, "nul\0", None, 7, ["a"]],
)  # fmt: skip
def test_unsafe_names_in_a_listing(hub: LoopbackHub, path: object) -> None:
    hub.listings[NAME] = answer(entry(path), entry("config.json"))
    repository = read_repository(REFERENCE)
    assert set(repository.files) == {"config.json"}
    if isinstance(path, str):
        with pytest.raises(DownloadError, match="no such file") as caught:
            fetch_hub_file(repository, path)
        assert str(caught.value).isprintable()
    assert_nothing_outside()


@pytest.mark.parametrize("size", [-1, 1.5, "2", None, True, 1e30])
def test_a_size_that_is_none(hub: LoopbackHub, size: object) -> None:
    hub.listings[NAME] = answer(entry(size=size))
    assert read_repository(REFERENCE).files == {}


@pytest.mark.parametrize("size", [5 << 30, 1 << 80])
def test_a_size_without_end(hub: LoopbackHub, size: int) -> None:
    hub.listings[NAME] = answer(entry(size=size))
    with pytest.raises(DownloadError, match=f"a file of {size} bytes is too large: expected at most 4294967296"):
        fetch_hub_file(read_repository(REFERENCE), "net.bin")
    assert not hub.sent("net.bin")


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_a_listing_of_many_files(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    hub.listings[NAME] = answer(*(entry(f"{i}.bin") for i in range(count)))
    repository = read_repository(REFERENCE)
    assert len(repository.files) == count
    with pytest.raises(DownloadError, match="no such file"):
        fetch_hub_file(repository, "absent.bin")
    monkeypatch.setattr(hub_client, "MAX_FILES", 2)
    hub.listings[NAME] = answer(*(entry(f"{i}.bin") for i in range(3)))
    with pytest.raises(DownloadError, match="too many files: expected at most 2, got 3"):
        read_repository(REFERENCE)


@pytest.mark.parametrize(
    "digest", [{"blobId": "../../../../evil"}, {"blobId": None}, {"blobId": "g" * 40}, {"blobId": ["a"]},
               {"lfs": {"sha256": "../evil", "size": 2, "pointerSize": 9}},
               {"lfs": {"sha256": None, "size": 2, "pointerSize": 9}}],
)  # fmt: skip
def test_a_digest_that_is_none(hub: LoopbackHub, digest: dict[str, Any]) -> None:
    hub.listings[NAME] = answer(entry(**digest))
    with pytest.raises(DownloadError, match="states no digest of this file"):
        fetch_hub_file(read_repository(REFERENCE), "net.bin")
    assert_nothing_outside()


@pytest.mark.parametrize(
    "document",
    [b"<html>", b"", b"null", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000, {}, {"id": NAME}, answer(sha="../../evil"),
     answer(sha=None), answer(siblings=None), answer(siblings="abc"), answer(siblings=[1]), answer({"size": 1}),
     answer(entry(lfs=[])), answer(entry(lfs={"size": 1})), answer(createdAt="never"), answer(cardData=[1])],
)  # fmt: skip
def test_an_answer_that_is_no_listing(hub: LoopbackHub, document: object) -> None:
    hub.listings[NAME] = document
    try:
        read_repository(REFERENCE, retry=ONCE)
    except OvMobilenetError as error:
        assert isinstance(error, DownloadError) and str(error).startswith(f"hf:{NAME}: ") and len(str(error)) < 600
    else:
        assert document in (answer(cardData=[1]), answer(entry(lfs=[])))  # no licence; not in large-file storage
    assert_nothing_outside()


@pytest.mark.parametrize("revision", ["..%2F..%2F..%2Fevil", "..", "%2Fetc%2Fevil", "a%2F%2Fb", "%2F"])
@pytest.mark.parametrize("offline", [False, True])
def test_a_revision_that_climbs_out(hub: LoopbackHub, revision: str, offline: bool) -> None:
    with pytest.raises(DownloadError, match="not the name of a revision"):
        read_repository(parse_hub_reference(f"hf:{NAME}@{revision}"), offline=offline)
    assert hub.requests == []


@pytest.mark.parametrize("licence", ["mit\x1b[31m", "x" * 101, 7, None, ["mit"], {"a": 1}, ""])
def test_a_licence_that_is_no_name(hub: LoopbackHub, licence: object) -> None:
    hub.listings[NAME] = answer(entry(), cardData={"license": licence}, tags=["license:"] if licence == "" else 7)
    try:
        assert read_repository(REFERENCE).licence is None
    except DownloadError as error:
        assert "no list of files" in str(error)


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:1"])
def test_a_redirect_of_the_hub_to_another_scheme(hub: LoopbackHub, where: str) -> None:
    repository = read_repository(REFERENCE)
    hub.fault("/resolve/", status=302, headers={"Location": where})
    with pytest.raises(DownloadError, match="URL scheme not allowed"):
        fetch_hub_file(repository, "config.json", retry=ONCE)


def test_a_redirect_of_the_hub_to_http(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = HubRepository(NAME, COMMIT, {"config.json": HubFile("config.json", 2, None, git_blob(CONFIG))}, None)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serving(certificate) as hub, serving() as cdn:
        hub.on(f"/{NAME}/resolve/{COMMIT}/config.json", says(302, Location=f"{cdn.url}/config.json"))
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(
            DownloadError, match=r"URL scheme not allowed, from 127\.0\.0\.1: expected https, got http\. Only"
        ):
            fetch_hub_file(repository, "config.json", retry=ONCE)
        assert len(hub.exchanges) == 1 and cdn.exchanges == []


def test_a_hub_with_an_unknown_certificate(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    with LoopbackHub(certificate) as hub:
        hub.add(NAME, {"config.json": CONFIG, "net.bin": b"network"})
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        advice = "set both REQUESTS_CA_BUNDLE and SSL_CERT_FILE to the file of its CA certificate"
        with pytest.raises(DownloadError, match=f"its certificate is not accepted.*{advice}"):
            read_repository(REFERENCE, retry=ONCE)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        huggingface_hub.close_session()  # it reads the variable when it begins
        try:
            repository = read_repository(REFERENCE, retry=ONCE)
        finally:
            huggingface_hub.close_session()
        with pytest.raises(DownloadError, match=f"its certificate is not accepted.*{advice}"):
            fetch_hub_file(repository, "net.bin", retry=ONCE)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        hub.private.add(NAME)
        assert fetch_hub_file(repository, "net.bin", retry=ONCE).read_bytes() == b"network"


def test_a_link_in_the_cache_that_leads_out(hub: LoopbackHub, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"[]")
    repository = read_repository(REFERENCE)
    path = fetch_hub_file(repository, "config.json")
    blob = path.resolve()
    for link in (path, blob):
        link.unlink()
        link.symlink_to(outside)
        assert fetch_hub_file(repository, "config.json").read_bytes() == CONFIG
        assert outside.read_bytes() == b"[]"


@pytest.mark.parametrize("content", [b"../../../..", b"", b"\xff", b"0" * 41, b"main"])
def test_a_changed_reference_in_the_cache(hub: LoopbackHub, content: bytes) -> None:
    read_repository(REFERENCE)
    (home() / "hub" / "models--owner--net" / "refs" / "main").write_bytes(content)
    with pytest.raises(OfflineError, match="does not hold this revision"):
        read_repository(REFERENCE, offline=True)


def described(hub: LoopbackHub, tmp_path: Path, content: bytes) -> tuple[Path, list[object]]:
    commit = hub.add(NAME, {"net.onnx": content})
    source = {"$type": "hub", "repository": NAME, "revision": commit, "path": "net.onnx"}
    model = describe(tmp_path / "configs" / "net", {"net.onnx": (content, source)})
    return tmp_path / "public" / "net" / "net.onnx", ["download", model, "-o", tmp_path, "--cache-dir", tmp_path / "c"]


def test_ctrl_c_while_the_hub_stalls(hub: LoopbackHub, tmp_path: Path) -> None:
    content = hashlib.shake_256(b"network").digest(400_000)
    target, arguments = described(hub, tmp_path, content)
    fault = hub.fault("net.onnx", server="cdn", stall_after=200_000)
    process = start(*arguments, "--progress-format", "json")
    assert process.stdout is not None
    for line in process.stdout:  # until the bytes that were sent have arrived
        event = json.loads(line)
        if event["$type"] == "model_file_download_progress" and event["size"] > 150_000:
            break
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130 and "huggingface" not in err
    digest = hashlib.sha256(content).hexdigest()
    assert not target.exists() and not [path for path in home().rglob(digest) if path.is_file()]

    fault.times = 0
    hub.requests.clear()
    assert run(*arguments)[0] == 0 and target.read_bytes() == content
    assert int(hub.sent("net.onnx", server="cdn")[0].headers["range"][6:-1]) > 100_000
    assert leftovers(home()) == leftovers(tmp_path) == []


def test_disk_full_while_a_file_of_the_hub_arrives(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY")
    target, arguments = described(hub, tmp_path, bytes(400_000))
    code, _, err = run(*arguments, file_limit=200_000)
    assert code == 1 and err.count("error") == 1 and "the cache of huggingface_hub cannot be written" in err
    assert not target.exists() and leftovers(home()) == []
    # Neither the list of programs that huggingface_hub asks for, nor what is installed.
    assert {request.path.split("/")[1] for request in hub.requests} == {"api", "owner"} and len(hub.sent("/api/")) == 1
    assert {request.headers["user-agent"].split("/")[0] for request in hub.requests} == {"ov-mobilenet"}
