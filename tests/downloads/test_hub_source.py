"""Descriptions whose files come from repositories of the hub."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import generate_cards
import pytest
from downloads.fake_transport import DescribeFiles, FakeTransport
from loopback_hub import TOKEN, LoopbackHub

from ov_mobilenet.cli.main import main
from ov_mobilenet.downloads import events
from ov_mobilenet.downloads.attempts import Retry
from ov_mobilenet.downloads.fetch import download
from ov_mobilenet.errors import DownloadError, HashMismatchError, OfflineError
from ov_mobilenet.zoo.model import ModelConfig

pytest.importorskip("huggingface_hub")

NAME = "owner/net"
WEIGHTS = bytes(range(256)) * 500
FILES = {"net.onnx": WEIGHTS, "config.json": b"{}"}
RETRY = Retry(sleep=lambda seconds: None, jitter=lambda: 0.0)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        hub.add(NAME, FILES)
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.fixture
def described(hub: LoopbackHub, describe_files: DescribeFiles) -> ModelConfig:
    return describe_files({path: (content, source(hub, path)) for path, content in FILES.items()})


def source(hub: LoopbackHub, path: str) -> dict[str, str]:
    return {"$type": "hub", "repository": NAME, "revision": hub.repositories[NAME].refs["main"], "path": path}


def fetch(config: ModelConfig, root: Path, **options: Any) -> Path:
    folder = root / "files"
    download(config, folder, cache_root=root / "cache", retry=RETRY, transport=FakeTransport(), **options)
    return folder


def test_files_arrive_once_in_the_cache_of_the_hub(described: ModelConfig, hub: LoopbackHub, tmp_path: Path) -> None:
    seen: list[events.Event] = []
    folder = fetch(described, tmp_path, on_event=seen.append)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert not list((tmp_path / "cache").glob("files/**/*"))
    received = [e.size for e in seen if isinstance(e, events.FileDownloadProgress) and e.model_file == "net.onnx"]
    assert received[-1] == len(WEIGHTS) and {e.model for e in seen if hasattr(e, "model")} == {"net"}
    assert len(hub.sent("/api/")) == 1

    hub.requests.clear()
    (folder / "net.onnx").unlink()
    for offline in (False, True):
        assert (fetch(described, tmp_path, offline=offline) / "net.onnx").read_bytes() == WEIGHTS
    assert hub.requests == []


def test_the_digest_of_the_description_holds(hub: LoopbackHub, describe_files: DescribeFiles, tmp_path: Path) -> None:
    """The hub and its own digests agree, but it is another file than the description states."""
    config = describe_files({"net.onnx": (b"x" * len(WEIGHTS), source(hub, "net.onnx"))})
    with pytest.raises(HashMismatchError, match=f"cannot fetch net.onnx from hf:{NAME}@.*/net.onnx.*SHA384 differs"):
        fetch(config, tmp_path)
    assert not list((tmp_path / "files").glob("*"))


@pytest.mark.parametrize("why", ["gated", "huggingface_hub is missing"])
def test_other_sources_are_tried(
    hub: LoopbackHub, describe_files: DescribeFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    hub.gated.add(NAME)
    if why != "gated":
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(DownloadError, match=r"cannot download net\.onnx: .*huggingface_hub.* Run: .*\[hub\]"):
            fetch(describe_files({"net.onnx": (WEIGHTS, source(hub, "net.onnx"))}), tmp_path)
    beside = {"$type": "file", "path": "copy.onnx"}
    config = describe_files({"net.onnx": (WEIGHTS, [source(hub, "net.onnx"), beside])})
    (config.folder / "copy.onnx").write_bytes(WEIGHTS)
    assert (fetch(config, tmp_path) / "net.onnx").read_bytes() == WEIGHTS


def test_a_mirror_is_tried_first(described: ModelConfig, hub: LoopbackHub, tmp_path: Path) -> None:
    for path, content in FILES.items():
        (tmp_path / "mirror" / "net").mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / "net" / path).write_bytes(content)
    fetch(described, tmp_path, mirror=str(tmp_path / "mirror"))
    assert hub.requests == []


def test_failures_say_what_to_do(described: ModelConfig, hub: LoopbackHub, tmp_path: Path) -> None:
    with pytest.raises(OfflineError, match=rf"net\.onnx is not on disk and cannot be .* offline mode \(hf:{NAME}@"):
        fetch(described, tmp_path, offline=True)
    hub.gated.add(NAME)
    commit = hub.repositories[NAME].refs["main"]
    manually = rf"To download it manually: curl .* {hub.endpoint}/{NAME}/resolve/{commit}/net\.onnx"
    with pytest.raises(DownloadError, match=rf"the repository is gated.*Request access at .*{manually}") as caught:
        fetch(described, tmp_path)
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)


def test_the_command_line(
    described: ModelConfig, hub: LoopbackHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    origin = f"hf:{NAME}@{hub.repositories[NAME].refs['main']}/net.onnx"
    common = ["-o", str(tmp_path), "--cache-dir", str(tmp_path / "cache")]
    assert main(["download", str(described.path), *common, "--dry-run"]) == 0
    assert f"net.onnx  0.1 MB  from {origin}\n" in capsys.readouterr().out
    assert hub.requests == [] and not (tmp_path / "public").exists()

    assert main(["info", str(described.path), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["sources"] == [origin]

    hub.private.add(NAME)
    assert main(["download", str(described.path), *common]) == 1
    (error,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error"))
    assert "there is no such repository, or it is private" in error and "set HF_TOKEN" in error


def test_wrong_bytes_end_with_3(
    described: ModelConfig, hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.private.add(NAME)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.fault("net.onnx", server="cdn", wrong_bytes=True)
    assert main(["download", str(described.path), "-o", str(tmp_path), "--cache-dir", str(tmp_path / "cache")]) == 3
    assert not (tmp_path / "public" / "net" / "net.onnx").exists()


def test_the_card_of_a_description_names_the_repository(described: ModelConfig, hub: LoopbackHub) -> None:
    assert generate_cards.main(["--folder", str(described.folder.parent)]) == 0
    card = (described.folder / "README.md").read_text("utf-8")
    assert f"  - `hf:{NAME}@{hub.repositories[NAME].refs['main']}/net.onnx`\n" in card
    assert "are not part of this toolkit" in card
