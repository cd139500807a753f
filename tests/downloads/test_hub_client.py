"""Repositories of the hub, from a hub on loopback that huggingface_hub itself also talks to."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from loopback_hub import TOKEN, LoopbackHub, git_blob, sha256

from ov_mobilenet.downloads.attempts import Retry
from ov_mobilenet.downloads.events import Event, FileDownloadBegin, FileDownloadEnd, FileDownloadProgress
from ov_mobilenet.downloads.hub_client import HubRepository, fetch_hub_file, read_repository
from ov_mobilenet.errors import DownloadError, HashMismatchError, MissingDependencyError, OfflineError
from ov_mobilenet.zoo.hub_reference import parse_hub_reference

hub_library = pytest.importorskip("huggingface_hub")

NAME = "owner/net"
WEIGHTS = bytes(range(256)) * 800  # 0.2 MB
FILES = {
    "config.json": b'{"architecture": "mobilenetv3_small_100"}',
    "model.safetensors": WEIGHTS,
    "README.md": b"---\ntags:\n- image\nlicense: apache-2.0\n---\n# Net\n",
    "onnx/model.onnx": b"\x08\x07" * 50,
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        hub.add(NAME, FILES, licence="apache-2.0")
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.fixture
def delays() -> list[float]:
    return []


@pytest.fixture
def retry(delays: list[float]) -> Retry:
    return Retry(sleep=delays.append, jitter=lambda: 0.0)


def read(text: str = f"hf:{NAME}", **options: Any) -> HubRepository:
    return read_repository(parse_hub_reference(text), **options)


def cache() -> Path:
    return Path(os.environ["HF_HOME"]) / "hub" / f"models--{NAME.replace('/', '--')}"


def kept_bytes() -> dict[str, bytes]:
    """The complete files in the cache, by path in it."""
    return {
        path.relative_to(cache()).as_posix(): path.read_bytes()
        for path in cache().rglob("*")
        if path.is_file() and ".part" not in path.name and path.parent.name != "refs"
    }


def assert_nothing_wrong() -> None:
    """Every file in the cache is complete, and right."""
    for name, content in kept_bytes().items():
        if name.startswith("blobs/"):
            assert Path(name).name in (sha256(content), git_blob(content))
        else:
            assert content == FILES[name.split("/", 2)[2]]


# Listings


@pytest.mark.parametrize("revision", ["", "@main", "@v1.0", "@refs%2Fpr%2F1", "@COMMIT", "@SHORT"])
def test_a_revision_becomes_a_commit(hub: LoopbackHub, revision: str) -> None:
    commit = hub.add(NAME, FILES)
    hub.repositories[NAME].refs |= {"v1.0": commit, "refs/pr/1": commit}
    repository = read(f"hf:{NAME}{revision.replace('COMMIT', commit).replace('SHORT', commit[:8])}")
    assert (repository.name, repository.commit, repository.licence) == (NAME, commit, "apache-2.0")
    assert set(repository.files) == set(FILES)
    config, weights = repository.files["config.json"], repository.files["model.safetensors"]
    assert (config.size, config.sha256, config.blob_id) == (41, None, git_blob(FILES["config.json"]))
    assert (weights.size, weights.sha256) == (len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())


def test_a_moved_branch_gives_the_new_commit_and_the_old_one_stays(hub: LoopbackHub) -> None:
    before = read()
    hub.add(NAME, {**FILES, "config.json": b"{}"})
    after = read()
    assert fetch_hub_file(before, "config.json").read_bytes() == FILES["config.json"]
    assert fetch_hub_file(after, "config.json").read_bytes() == b"{}"
    assert read(offline=True).commit == after.commit != before.commit


def test_a_branch_that_moves_between_the_listing_and_the_file(hub: LoopbackHub) -> None:
    repository = read()
    hub.add(NAME, {**FILES, "model.safetensors": b"another network"})
    assert fetch_hub_file(repository, "model.safetensors").read_bytes() == WEIGHTS
    assert all(f"/resolve/{repository.commit}/" in request.path for request in hub.sent("/resolve/"))


def test_a_hub_that_answers_with_another_commit_is_refused(hub: LoopbackHub) -> None:
    hub.listings[NAME] = {"id": NAME, "sha": "0" * 40, "siblings": []}
    commit = hub.repositories[NAME].refs["main"]
    with pytest.raises(DownloadError, match=f"another commit: expected {commit}, got 0000"):
        read(f"hf:{NAME}@{commit}")


# Files and the shared cache


def test_files_arrive_in_the_layout_of_huggingface_hub(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = read()
    events: list[Event] = []
    for path, content in FILES.items():
        assert fetch_hub_file(repository, path, on_event=events.append).read_bytes() == content
    begun = [event for event in events if isinstance(event, FileDownloadBegin)]
    assert [(event.model, event.model_file, event.size) for event in begun] == [
        (NAME, path, len(content)) for path, content in FILES.items()
    ]
    assert [event.successful for event in events if isinstance(event, FileDownloadEnd)] == [True] * len(FILES)
    received = [e.size for e in events if isinstance(e, FileDownloadProgress) and e.model_file == "model.safetensors"]
    assert received == sorted(received) and received[-1] == len(WEIGHTS)

    hub.requests.clear()
    for path, content in FILES.items():
        where = hub_library.hf_hub_download(
            NAME, path, endpoint=hub.endpoint, cache_dir=cache().parent, revision=repository.commit
        )
        assert Path(where).read_bytes() == content
    found = hub_library.try_to_load_from_cache(NAME, "config.json", cache_dir=cache().parent)  # through refs/main
    assert Path(found) == fetch_hub_file(repository, "config.json")
    assert hub.requests == []


def test_files_of_huggingface_hub_are_used_without_a_request(hub: LoopbackHub) -> None:
    for path in ("model.safetensors", "config.json", "README.md"):
        hub_library.hf_hub_download(NAME, path, endpoint=hub.endpoint, cache_dir=cache().parent)
    repository = read()
    hub.requests.clear()
    for path in ("model.safetensors", "config.json"):
        assert fetch_hub_file(repository, path).read_bytes() == FILES[path]
    assert hub.requests == []


def test_a_file_of_another_commit_is_not_fetched_again(hub: LoopbackHub) -> None:
    fetch_hub_file(read(), "model.safetensors")
    hub.add(NAME, {**FILES, "config.json": b"{}"})
    repository = read()
    hub.requests.clear()
    assert fetch_hub_file(repository, "model.safetensors").read_bytes() == WEIGHTS
    assert hub.requests == []


def test_systems_without_links_get_a_copy(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: object, target_is_directory: bool = False) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    repository = read()
    path = fetch_hub_file(repository, "model.safetensors")
    assert not path.is_symlink() and path.read_bytes() == WEIGHTS
    hub.requests.clear()
    assert fetch_hub_file(repository, "model.safetensors") == path and hub.requests == []


# Offline


@pytest.mark.parametrize("how", ["argument", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_with_a_cache(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    online = read()
    for path in ("config.json", "model.safetensors"):
        fetch_hub_file(online, path)
    hub.requests.clear()
    offline = how == "argument"
    if not offline:
        monkeypatch.setenv(how, "1")
    repository = read(offline=offline)
    assert (repository.commit, repository.licence) == (online.commit, online.licence)
    assert set(repository.files) == {"config.json", "model.safetensors", "README.md"}
    assert repository.files["model.safetensors"].sha256 == online.files["model.safetensors"].sha256
    assert fetch_hub_file(repository, "model.safetensors", offline=offline).read_bytes() == WEIGHTS
    assert read(f"hf:{NAME}@{online.commit[:7]}", offline=offline).commit == online.commit
    with pytest.raises(OfflineError, match=r"model\.onnx.* does not hold this file"):
        fetch_hub_file(online, "onnx/model.onnx", offline=offline)
    with pytest.raises(OfflineError, match=r"does not hold this file.* There is: model\.safetensors"):
        fetch_hub_file(repository, "model.safetensor", offline=offline)
    assert hub.requests == []


def test_offline_without_a_cache(hub: LoopbackHub) -> None:
    for revision in ("", "@v1", f"@{'0' * 40}"):
        with pytest.raises(OfflineError, match=r"does not hold this revision.* Run the command once without --offline"):
            read(f"hf:{NAME}{revision}", offline=True)
    assert hub.requests == []


def test_wrong_bytes_in_the_cache_are_deleted_and_fetched_again(hub: LoopbackHub) -> None:
    repository = read()
    path = fetch_hub_file(repository, "model.safetensors")
    path.write_bytes(b"x" * len(WEIGHTS))
    with pytest.raises(
        HashMismatchError, match=f"expected sha256 {sha256(WEIGHTS)}, got {sha256(b'x' * len(WEIGHTS))}"
    ):
        fetch_hub_file(read(offline=True), "model.safetensors", offline=True)
    assert_nothing_wrong()
    assert not path.exists()

    fetch_hub_file(repository, "config.json").write_bytes(b"y" * len(FILES["config.json"]))
    for name in ("config.json", "model.safetensors"):
        assert fetch_hub_file(repository, name).read_bytes() == FILES[name]
    assert_nothing_wrong()


# Wrong bytes, cut connections


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("times", [1, None])
def test_wrong_bytes_of_the_right_size(hub: LoopbackHub, retry: Retry, path: str, times: int | None) -> None:
    repository = read()
    server = "hub" if path == "config.json" else "cdn"
    hub.fault(path, server=server, wrong_bytes=True, times=times)
    if times is None:
        wrong = bytes(value ^ 1 for value in FILES[path])
        right, got = map(git_blob if server == "hub" else sha256, (FILES[path], wrong))
        with pytest.raises(HashMismatchError, match=f"expected {right}, got {got}") as caught:
            fetch_hub_file(repository, path, retry=retry)
        assert caught.value.exit_code == 3
        assert not any(path in name for name in kept_bytes())
    else:
        assert fetch_hub_file(repository, path, retry=retry).read_bytes() == FILES[path]
    assert len(hub.sent(path, server=server)) == 2
    assert_nothing_wrong()
    assert not list(cache().rglob("*.part*"))


def test_a_cut_connection_is_resumed(hub: LoopbackHub, retry: Retry, delays: list[float]) -> None:
    repository = read()
    hub.fault("model.safetensors", server="cdn", cut_after=70_000, times=2)
    assert fetch_hub_file(repository, "model.safetensors", retry=retry).read_bytes() == WEIGHTS
    starts = [int(r.headers.get("range", "bytes=0-")[6:-1]) for r in hub.sent("model.safetensors", server="cdn")]
    assert starts[0] == 0 < starts[1] < starts[2] and delays == [0.25, 0.5]


def test_a_download_that_ended_short_is_resumed_by_the_next_run(hub: LoopbackHub, retry: Retry) -> None:
    repository = read()
    fault = hub.fault("model.safetensors", server="cdn", cut_after=30_000)
    with pytest.raises(DownloadError, match=r"model\.safetensors: .*closed early") as caught:
        fetch_hub_file(repository, "model.safetensors", retry=retry)
    assert caught.value.exit_code == 1
    assert not any("model.safetensors" in name or sha256(WEIGHTS) in name for name in kept_bytes())
    fault.times = 0
    hub.requests.clear()
    assert fetch_hub_file(repository, "model.safetensors", retry=retry).read_bytes() == WEIGHTS
    (request,) = hub.sent("model.safetensors", server="cdn")
    assert int(request.headers["range"][6:-1]) > 60_000
    assert not list(cache().rglob("*.part*"))


def test_an_interrupted_download_is_resumed_by_the_next_run(hub: LoopbackHub) -> None:
    repository = read()

    def interrupt(event: Event) -> None:
        if isinstance(event, FileDownloadProgress) and event.size > 50_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_hub_file(repository, "model.safetensors", on_event=interrupt)
    assert not any("model.safetensors" in name or sha256(WEIGHTS) in name for name in kept_bytes())
    hub.requests.clear()
    assert fetch_hub_file(repository, "model.safetensors").read_bytes() == WEIGHTS
    assert "range" in hub.sent("model.safetensors", server="cdn")[0].headers


def test_two_threads_download_a_file_once(hub: LoopbackHub) -> None:
    repository = read()
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch_hub_file(repository, "model.safetensors"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in found] == [WEIGHTS] * 2
    assert len(hub.sent("model.safetensors", server="cdn")) == 1


# What the hub refuses


@pytest.mark.parametrize(
    ("repository", "token", "words"),
    [
        (
            "owner/missing",
            None,
            r"no such repository, or it is private \(status 401\)\. .*set HF_TOKEN or run: hf auth",
        ),
        (
            "owner/missing",
            TOKEN,
            r"no such repository, or it is private \(status 404\)\. .*that your token may read it",
        ),
        (NAME, "hf_expired", r"does not accept your token \(status 401\)\. Check HF_TOKEN"),
        (f"{NAME}@v9", None, r"no such revision \(status 404\)"),
        ("owner/bad--name", None, r"no list of files for this name"),
    ],
)
def test_a_refused_listing(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, repository: str, token: str | None, words: str
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(DownloadError, match=f"^hf:{repository}: .*{words}") as caught:
        read(f"hf:{repository}")
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    assert len(hub.requests) < 2 and not cache().exists()


@pytest.mark.parametrize(("token", "status"), [(None, 401), (TOKEN, 403)])
def test_a_gated_repository(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, retry: Retry, token: str | None, status: int
) -> None:
    hub.gated.add(NAME)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    repository = read(retry=retry)
    with pytest.raises(
        DownloadError, match=rf"is gated, and .* \(status {status}\).* Request access at {hub.endpoint}/{NAME}"
    ):
        fetch_hub_file(repository, "model.safetensors", retry=retry)
    assert kept_bytes() == {}
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.granted.add(NAME)
    assert fetch_hub_file(repository, "model.safetensors").read_bytes() == WEIGHTS


def test_a_file_that_the_repository_does_not_have(hub: LoopbackHub) -> None:
    with pytest.raises(DownloadError, match=r"there is no such file\. There is: onnx/model\.onnx") as caught:
        fetch_hub_file(read(), "onnx/models.onnx")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (
            429,
            {"RateLimit": '"api";r=0;t=55'},
            r"too many requests.* Try in 55 s\. With an account the limit is higher",
        ),
        (500, {}, r"the hub failed \(status 500\)\. Try again later"),
        (503, {}, r"the hub failed \(status 503\)"),
    ],
)
def test_a_busy_hub_is_asked_again(
    hub: LoopbackHub, retry: Retry, delays: list[float], status: int, headers: dict[str, str], words: str
) -> None:
    fault = hub.fault("/api/", status=status, headers=headers, times=2)
    repository = read(retry=retry)
    assert delays == [0.25, 0.5]
    hub.fault("model.safetensors", status=status, times=1)
    assert fetch_hub_file(repository, "model.safetensors", retry=retry).read_bytes() == WEIGHTS
    fault.times = None
    with pytest.raises(DownloadError, match=words) as caught:
        read(retry=retry)
    assert caught.value.exit_code == 1 and "--offline" in str(caught.value)


def test_a_long_wait_is_announced(
    hub: LoopbackHub, retry: Retry, delays: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    hub.fault("/api/", status=429, headers={"Retry-After": "55"}, times=1)
    assert read(retry=retry).commit and delays == [55.0]
    (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert "Try in 55 s" in record.getMessage() and "attempt 2 of 4 in 55.0 s" in record.getMessage()


def test_a_listing_that_is_cut(hub: LoopbackHub, retry: Retry) -> None:
    fault = hub.fault("/api/", cut_after=20, times=1)
    assert read(retry=retry).commit
    fault.times = None
    with pytest.raises(DownloadError, match=r"the connection was closed early, or the answer is not HTTP\. Try again"):
        read(retry=retry)


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, retry: Retry, hub: LoopbackHub) -> None:
    repository = read()
    with LoopbackHub() as other:
        monkeypatch.setenv("HF_ENDPOINT", other.endpoint)
    with pytest.raises(DownloadError, match=r"cannot be reached: the connection was refused.*--offline uses them"):
        read(retry=retry)
    with pytest.raises(DownloadError, match=r"the connection was refused.*, from 127\.0\.0\.1"):
        fetch_hub_file(repository, "config.json", retry=retry)
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    with pytest.raises(DownloadError, match=r"https://hub\.invalid cannot be reached: its name cannot be resolved"):
        read(retry=retry)


@pytest.mark.parametrize("endpoint", ["ftp://host", "huggingface.co", "https://", "https://[x", "https://a b"])
def test_an_endpoint_that_is_not_a_url(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(DownloadError, match="^HF_ENDPOINT: invalid address of the hub"):
        read()


def test_without_huggingface_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"Run: .*install .*\[hub\]"):
        read()


# The token


def test_the_token_is_sent_to_the_hub_and_to_no_other_server(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.private.add(NAME)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch_hub_file(read(), "model.safetensors").read_bytes() == WEIGHTS
    sent = {(request.server, request.headers.get("authorization")) for request in hub.requests}
    assert sent == {("hub", f"Bearer {TOKEN}"), ("cdn", None)}


def test_the_token_of_a_login(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_library, "get_token", lambda: TOKEN)
    hub.private.add(NAME)
    assert read().commit
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    with pytest.raises(DownloadError, match="or it is private"):
        read()


def test_the_token_is_not_sent_over_http_to_another_machine(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, retry: Retry
) -> None:
    """Another machine is played by a proxy on loopback, to which all requests of http go."""
    hub.private.add(NAME)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example.org")
    monkeypatch.setenv("http_proxy", hub.endpoint)
    hub_library.close_session()  # it reads the proxy when it begins
    try:
        with pytest.raises(DownloadError, match=r"your token was not sent, .*not encrypted\. Use https in HF_ENDPOINT"):
            read(retry=retry)
    finally:
        hub_library.close_session()
    assert hub.requests and not any("authorization" in request.headers for request in hub.requests)


# What others see of it


def test_nothing_of_huggingface_hub_reaches_the_terminal(
    hub: LoopbackHub, capfd: pytest.CaptureFixture[str], retry: Retry
) -> None:
    terminal = io.StringIO()
    logger, handler = logging.getLogger("huggingface_hub"), logging.StreamHandler(terminal)
    logger.addHandler(handler)
    try:
        hub.fault("/api/", status=500, headers={"X-HF-Warning": "topic; Upgrade now"}, times=1)
        fetch_hub_file(read(retry=retry), "model.safetensors", retry=retry)
        assert terminal.getvalue() == "" and capfd.readouterr() == ("", "")
        logger.warning("of another program")
        assert terminal.getvalue() == "of another program\n"
    finally:
        logger.removeHandler(handler)
    assert {request.headers["user-agent"].split("/")[0] for request in hub.requests} == {"ov-mobilenet"}
    assert not hub.sent("agent-harnesses")


# The disk


def test_a_cache_that_cannot_be_written(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = read()
    home = cache().parent / "file"
    home.write_bytes(b"")
    monkeypatch.setenv("HF_HUB_CACHE", str(home))
    with pytest.raises(
        DownloadError, match=r"cache of huggingface_hub cannot be written.*Not a directory.*set HF_HOME"
    ):
        fetch_hub_file(repository, "config.json")
    assert read().commit == repository.commit  # reading a list needs no cache


def test_a_full_disk(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = read()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(DownloadError, match=r"is too large: expected at most 100 bytes\. Free space"):
        fetch_hub_file(repository, "model.safetensors")
    assert not any("model.safetensors" in name for name in kept_bytes())
