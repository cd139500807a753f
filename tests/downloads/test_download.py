"""`download`: the files on disk, the requests sent, and the text of errors."""

from __future__ import annotations

import errno
import hashlib
import itertools
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec
import pytest
import yaml
from downloads.fake_transport import DescribeFiles, FakeTransport

from ov_mobilenet.downloads import cache
from ov_mobilenet.downloads.attempts import Retry
from ov_mobilenet.downloads.events import Event
from ov_mobilenet.downloads.fetch import SourceFiles, download, plan_file
from ov_mobilenet.downloads.transport import TransientError
from ov_mobilenet.errors import ConfigError, DownloadError, HashMismatchError, OfflineError
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.model import ModelConfig

CONTENT = bytes(range(256)) * 4
OTHER = b"x" * len(CONTENT)
URL, MIRROR = "https://a.example.org/net.onnx", "https://b.example.org/net.onnx"


FillDisk = Callable[[Path], None]


class Patched(Protocol):
    """A description of two files whose script is patched by these steps."""

    def __call__(self, *steps: Mapping[str, object], content: bytes = ...) -> ModelConfig: ...


class DownloadCase:
    """A model of one file, its fake server, and a download folder and a cache of its own."""

    def __init__(self, tmp_path: Path, transport: FakeTransport, describe_files: DescribeFiles) -> None:
        self.folder = tmp_path / "models" / "net"
        self.cache = tmp_path / "cache"
        self.transport = transport
        self.describe = describe_files
        transport.answers[URL] = CONTENT

    @property
    def target(self) -> Path:
        return self.folder / "net.onnx"

    def config(self, source: object = URL, **keys: Any) -> ModelConfig:
        return self.describe({"net.onnx": (CONTENT, source)}, **keys)

    def download(self, config: ModelConfig | None = None, **options: Any) -> SourceFiles:
        options = {"cache_root": self.cache, "transport": self.transport, "retry": Retry(attempts=1), **options}
        return download(config or self.config(), self.folder, **options)

    def put(self, content: bytes) -> None:
        self.folder.mkdir(parents=True)
        self.target.write_bytes(content)

    def stored(self) -> Path:
        digest = hashlib.sha384(CONTENT).hexdigest()
        return self.cache / "files" / "sha384" / digest[:2] / digest


@pytest.fixture
def case(tmp_path: Path, transport: FakeTransport, describe_files: DescribeFiles) -> Iterator[DownloadCase]:
    case = DownloadCase(tmp_path, transport, describe_files)
    yield case
    assert [path for path in tmp_path.rglob("*") if path.name.endswith(".part")] == []


def test_a_file_is_fetched_verified_and_reported(case: DownloadCase) -> None:
    seen: list[Event] = []
    files = case.download(on_event=seen.append)
    assert case.target.read_bytes() == CONTENT
    assert files.folder == case.folder
    assert files.digests == {"net.onnx": "sha384:" + hashlib.sha384(CONTENT).hexdigest()}
    # The Open Model Zoo's events, field for field.
    lines = [msgspec.to_builtins(event) for event in seen]
    file = {"model": "net", "model_file": "net.onnx"}
    assert lines[:2] == [
        {"$type": "model_download_begin", "model": "net", "num_files": 1},
        {"$type": "model_file_download_begin", **file, "size": 1024},
    ]
    assert lines[-2:] == [
        {"$type": "model_file_download_end", **file, "successful": True},
        {"$type": "model_download_end", "model": "net", "successful": True},
    ]
    progress = [line["size"] for line in lines[2:-2]]
    assert {line["$type"] for line in lines[2:-2]} == {"model_file_download_progress"}
    assert progress == sorted(progress)
    assert progress[-1] == 1024


def test_a_file_without_a_digest_needs_allow_unverified(case: DownloadCase) -> None:
    config = case.config()
    document = yaml.safe_load(config.path.read_text())
    del document["files"][0]["checksum"]
    config.path.write_text(yaml.safe_dump(document))
    config = load_config(config.path)
    with pytest.raises(DownloadError, match=r"no digest of net\.onnx.*--allow-unverified"):
        case.download(config)
    assert not case.target.exists()
    files = case.download(config, allow_unverified=True)
    assert files.digests == {"net.onnx": "sha384:" + hashlib.sha384(CONTENT).hexdigest()}


def test_a_valid_file_is_not_fetched_again(case: DownloadCase) -> None:
    case.put(CONTENT)
    before = case.target.stat()
    case.download(transport=None)
    after = case.target.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("content", [OTHER, CONTENT[:-1], b"", CONTENT + b"x"], ids=["other", "short", "empty", "long"])
def test_a_modified_file_is_replaced(content: bytes, case: DownloadCase) -> None:
    case.put(content)
    case.download()
    assert case.target.read_bytes() == CONTENT
    assert case.transport.calls == [URL]


def test_wrong_bytes_are_reported_in_full_and_keep_the_earlier_file(case: DownloadCase) -> None:
    case.folder = case.folder.with_name("a folder")
    case.put(b"earlier")
    case.transport.answers[URL] = OTHER
    with pytest.raises(HashMismatchError) as caught:
        case.download()
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert "net.onnx" in message
    assert URL in message
    assert str(case.target) in message
    assert hashlib.sha384(CONTENT).hexdigest() in message
    assert hashlib.sha384(OTHER).hexdigest() in message
    assert "1024 bytes" in message
    command = shlex.split(message.partition("To download it manually: ")[2])
    assert command == ["curl", "--create-dirs", "-L", "-o", str(case.target), URL]
    assert case.target.read_bytes() == b"earlier"
    assert [path.name for path in case.folder.iterdir()] == ["net.onnx"]
    assert not case.stored().exists()


@pytest.mark.parametrize(
    ("announced", "words"),
    [("true", "announced by the server differs"), (None, "too many bytes"), (1024, "too many bytes")],
)
def test_a_longer_answer_is_refused(announced: int | str | None, words: str, case: DownloadCase) -> None:
    case.transport.answers[URL] = CONTENT + b"more"
    case.transport.announced = announced
    with pytest.raises(HashMismatchError, match=words):
        case.download()
    assert not case.target.exists()


@pytest.mark.parametrize(
    ("announced", "words"),
    [
        ("true", "announced by the server differs from the description: expected 1024, got 1020"),
        (None, "closed early: expected 1024, got 1020"),
    ],
)
def test_a_shorter_answer_is_refused(announced: int | str | None, words: str, case: DownloadCase) -> None:
    case.transport.answers[URL] = CONTENT[:-4]
    case.transport.announced = announced
    with pytest.raises(DownloadError, match=words):
        case.download()
    assert not case.target.exists()


def test_an_endless_answer_stops_at_the_size_of_the_description(case: DownloadCase) -> None:
    case.transport.answers[URL] = itertools.repeat(b"x" * 100)
    case.transport.announced = None
    with pytest.raises(HashMismatchError, match="too many bytes"):
        case.download()
    assert case.transport.sent == 1100


def test_a_broken_connection_leaves_the_earlier_file(case: DownloadCase) -> None:
    case.put(b"earlier")
    case.transport.break_after = 500
    with pytest.raises(DownloadError, match="the connection broke") as caught:
        case.download()
    assert not isinstance(caught.value, HashMismatchError)
    assert caught.value.exit_code == 1
    assert case.target.read_bytes() == b"earlier"


@pytest.mark.parametrize(
    "first",
    [DownloadError("the server refused", got=404), TransientError("no route"), OTHER, CONTENT[:7]],
    ids=["refused", "unreachable", "wrong", "short"],
)
def test_a_mirror_is_used_when_the_first_source_fails(first: bytes | DownloadError, case: DownloadCase) -> None:
    case.transport.answers = {URL: first, MIRROR: CONTENT}
    case.download(case.config([URL, MIRROR]))
    assert case.transport.calls == [URL, MIRROR]
    assert case.target.read_bytes() == CONTENT


def test_sources_are_tried_in_order_the_original_one_last(case: DownloadCase) -> None:
    last = "https://z.example.org/net.onnx"
    case.transport.answers = {url: TransientError(f"no {url}") for url in (URL, MIRROR, last)}
    config = case.config([MIRROR, URL])
    text = config.path.read_text().replace("  source:\n", f"  original_source: {last}\n  source:\n")
    config.path.write_text(text)
    with pytest.raises(DownloadError) as caught:
        case.download(load_config(config.path))
    assert case.transport.calls == [MIRROR, URL, last]
    message = str(caught.value)
    assert message.index(f"no {MIRROR}") < message.index(f"no {URL}") < message.index(f"no {last}")


def test_offline_sends_no_request_and_names_the_missing_file(case: DownloadCase) -> None:
    with pytest.raises(OfflineError) as caught:
        case.download(offline=True)
    assert case.transport.calls == []
    message = str(caught.value)
    assert "net.onnx is not on disk and cannot be downloaded in offline mode" in message
    assert URL in message
    assert str(case.target) in message


def test_offline_uses_the_cache(case: DownloadCase, tmp_path: Path) -> None:
    case.download()
    case.folder = tmp_path / "elsewhere"
    case.download(offline=True)
    assert case.target.read_bytes() == CONTENT
    assert case.transport.calls == [URL]


def test_two_models_with_the_same_file_fetch_it_once(case: DownloadCase, tmp_path: Path) -> None:
    case.download()
    case.folder = tmp_path / "models" / "twin"
    case.download(case.describe({"renamed.onnx": (CONTENT, MIRROR)}, name="twin", network="renamed.onnx"))
    assert (case.folder / "renamed.onnx").read_bytes() == CONTENT
    assert case.transport.calls == [URL]


def test_a_modified_copy_does_not_change_the_cache(case: DownloadCase) -> None:
    case.download()
    case.target.write_bytes(OTHER)
    assert case.stored().read_bytes() == CONTENT
    case.download(offline=True)
    assert case.target.read_bytes() == CONTENT


def test_a_corrupt_cache_entry_is_replaced(case: DownloadCase) -> None:
    case.download()
    case.target.unlink()
    case.stored().write_bytes(OTHER)
    case.download()
    assert case.transport.calls == [URL, URL]
    assert case.target.read_bytes() == CONTENT
    assert case.stored().read_bytes() == CONTENT


def test_a_cache_that_cannot_be_created_is_ignored(case: DownloadCase) -> None:
    case.cache.write_text("a file where the folder should be")
    case.download()
    assert case.target.read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_ignored(case: DownloadCase, full_disk: FillDisk) -> None:
    case.stored().parent.mkdir(parents=True)
    full_disk(case.cache)
    case.download()
    assert case.target.read_bytes() == CONTENT
    assert not case.stored().exists()


def test_the_default_cache_is_the_users(case: DownloadCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "default_root", lambda: tmp_path / "own")
    case.download(cache_root=None)
    assert list((tmp_path / "own").rglob(case.stored().name))


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> FillDisk:
    """Every write below a folder fails as on a full disk."""
    real_open = Path.open

    class Full:
        def __init__(self, stream: IO[Any]) -> None:
            self.stream = stream

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            self.stream.close()

        def write(self, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    def fill(folder: Path) -> None:
        def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            stream = real_open(path, mode, *args, **kwargs)
            return Full(stream) if "w" in mode and path.is_relative_to(folder) else stream

        monkeypatch.setattr(Path, "open", opened)

    return fill


@pytest.mark.parametrize("cached", [False, True])
def test_a_full_disk_is_reported_as_such(cached: bool, case: DownloadCase, full_disk: FillDisk) -> None:
    if cached:
        case.download()
        case.target.unlink()
    full_disk(case.folder)
    with pytest.raises(DownloadError) as caught:
        case.download()
    assert "No space left on device" in str(caught.value)
    assert "connection" not in str(caught.value)
    assert not isinstance(caught.value, HashMismatchError)
    assert not case.target.exists()


@pytest.mark.parametrize("cached", [False, True])
def test_a_folder_that_cannot_be_created_is_a_download_error(cached: bool, case: DownloadCase, tmp_path: Path) -> None:
    if cached:
        case.download()
    case.folder = tmp_path / "file" / "net"
    case.folder.parent.write_text("no folder")
    with pytest.raises(DownloadError, match="Not a directory|File exists"):
        case.download()


def test_a_file_source_is_relative_to_the_description(
    case: DownloadCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = case.config({"$type": "file", "path": "weights/net.onnx"})
    (config.folder / "weights").mkdir()
    (config.folder / "weights" / "net.onnx").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    case.download(config, offline=True, transport=None)
    assert case.target.read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "kind"), [(None, DownloadError), (OTHER, HashMismatchError)])
def test_a_bad_file_source_is_named(content: bytes | None, kind: type[DownloadError], case: DownloadCase) -> None:
    config = case.config({"$type": "file", "path": "own.onnx"})
    if content is not None:
        (config.folder / "own.onnx").write_bytes(content)
    with pytest.raises(DownloadError) as caught:
        case.download(config, transport=None)
    assert type(caught.value) is kind
    assert str(config.folder / "own.onnx") in str(caught.value)
    assert "curl" not in str(caught.value)


def test_a_file_source_falls_back_to_a_url(case: DownloadCase) -> None:
    case.download(case.config([{"$type": "file", "path": "own.onnx"}, URL]))
    assert case.transport.calls == [URL]
    assert case.target.read_bytes() == CONTENT


def test_plan_file_decides_without_side_effects(case: DownloadCase) -> None:
    (file,) = case.config().files
    assert plan_file(file, case.target, case.cache) == "fetch"
    case.download()
    assert plan_file(file, case.target, case.cache) == "keep"
    case.target.unlink()
    assert plan_file(file, case.target, case.cache) == "copy"
    assert case.transport.calls == [URL]


SCRIPT = b"import os\nprint('a')\nprint('b')\n"
SCRIPT_URL = "https://a.example.org/tools/run.py"


@pytest.fixture
def patched(case: DownloadCase) -> Patched:
    case.transport.answers[SCRIPT_URL] = SCRIPT

    def config(*steps: Mapping[str, object], content: bytes = SCRIPT) -> ModelConfig:
        case.transport.answers[SCRIPT_URL] = content
        files = {"net.onnx": (CONTENT, URL), "tools/run.py": (content, SCRIPT_URL)}
        made = [{"$type": "regex_replace", "file": "tools/run.py", **step} for step in steps]
        return case.describe(files, postprocessing=made)

    return config


def test_a_pattern_is_replaced_and_the_original_kept(case: DownloadCase, patched: Patched) -> None:
    config = patched({"pattern": r"print\('(.)'\)", "replacement": r"log('\1')"})
    script, original = case.folder / "tools" / "run.py", case.folder / "tools" / "run.py.orig"
    for _ in range(3):
        case.download(config)
        assert script.read_bytes() == b"import os\nlog('a')\nlog('b')\n"
        assert original.read_bytes() == SCRIPT
    assert case.transport.calls == [URL, SCRIPT_URL]


def test_a_patched_file_is_restored_without_the_cache(case: DownloadCase, patched: Patched, tmp_path: Path) -> None:
    config = patched({"pattern": "os", "replacement": "sys"})
    case.download(config)
    case.cache = tmp_path / "another"
    case.download(config, offline=True)
    assert (case.folder / "tools" / "run.py").read_bytes().startswith(b"import sys\n")


def test_two_patterns_in_one_file_keep_the_first_original(case: DownloadCase, patched: Patched) -> None:
    config = patched({"pattern": "os", "replacement": "sys"}, {"pattern": "'b'", "replacement": "'c'", "count": 1})
    for _ in range(2):
        case.download(config)
        assert (case.folder / "tools" / "run.py").read_bytes() == b"import sys\nprint('a')\nprint('c')\n"
        assert (case.folder / "tools" / "run.py.orig").read_bytes() == SCRIPT


def test_the_original_of_an_earlier_version_is_replaced(case: DownloadCase, patched: Patched) -> None:
    step = {"pattern": "os", "replacement": "sys"}
    case.download(patched(step, content=b"import os  # version 1\n"))
    case.download(patched(step))
    assert (case.folder / "tools" / "run.py.orig").read_bytes() == SCRIPT


def test_a_count_limits_the_replacements(case: DownloadCase, patched: Patched) -> None:
    case.download(patched({"pattern": "print", "replacement": "log", "count": 1}))
    assert (case.folder / "tools" / "run.py").read_bytes() == b"import os\nlog('a')\nprint('b')\n"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"pattern": "print", "replacement": "log", "count": 3}, "wrong number of matches: expected 3, got 2"),
        ({"pattern": "missing", "replacement": "x"}, "wrong number of matches: expected at least 1, got 0"),
        ({"pattern": "print", "replacement": r"\7"}, "invalid replacement"),
    ],
)
def test_a_replacement_with_wrong_match_count_is_an_error(
    step: dict[str, object], words: str, case: DownloadCase, patched: Patched
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        case.download(patched(step))
    assert str(case.folder / "tools" / "run.py") in str(caught.value)
    assert (case.folder / "tools" / "run.py").read_bytes() == SCRIPT


def test_a_replacement_in_a_binary_file_is_an_error(case: DownloadCase, patched: Patched) -> None:
    with pytest.raises(ConfigError, match="needs a UTF-8 text file"):
        case.download(patched({"pattern": "a", "replacement": "b"}, content=b"\xff\xfe"))
