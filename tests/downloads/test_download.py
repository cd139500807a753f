"""`download`: what is on disk afterwards, what was asked of the network, and what an error says."""

from __future__ import annotations

import errno
import hashlib
import itertools
import shlex
from pathlib import Path

import msgspec
import pytest
import yaml

from ov_mobilenet.downloads import cache
from ov_mobilenet.downloads.attempts import Retry
from ov_mobilenet.downloads.fetch import download, plan_file
from ov_mobilenet.downloads.transport import PassingError
from ov_mobilenet.errors import ConfigError, DownloadError, HashMismatchError, OfflineError
from ov_mobilenet.zoo.config import load_config

CONTENT = bytes(range(256)) * 4
OTHER = b"x" * len(CONTENT)
URL, MIRROR = "https://a.example.org/net.onnx", "https://b.example.org/net.onnx"


class Bench:
    def __init__(self, tmp_path, transport, describe_files):
        self.folder = tmp_path / "models" / "net"
        self.cache = tmp_path / "cache"
        self.transport = transport
        self.describe = describe_files
        transport.answers[URL] = CONTENT

    @property
    def target(self):
        return self.folder / "net.onnx"

    def config(self, source=URL, **keys):
        return self.describe({"net.onnx": (CONTENT, source)}, **keys)

    def download(self, config=None, **options):
        options = {"cache_root": self.cache, "transport": self.transport, "retry": Retry(attempts=1), **options}
        return download(config or self.config(), self.folder, **options)

    def put(self, content):
        self.folder.mkdir(parents=True)
        self.target.write_bytes(content)

    def stored(self):
        digest = hashlib.sha384(CONTENT).hexdigest()
        return self.cache / "files" / "sha384" / digest[:2] / digest


@pytest.fixture
def bench(tmp_path, transport, describe_files):
    bench = Bench(tmp_path, transport, describe_files)
    yield bench
    assert [path for path in tmp_path.rglob("*") if path.name.endswith(".part")] == []


def test_a_file_is_fetched_verified_and_reported(bench):
    seen = []
    files = bench.download(on_event=seen.append)
    assert bench.target.read_bytes() == CONTENT
    assert files.folder == bench.folder
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


def test_a_file_without_a_digest_needs_leave(bench):
    config = bench.config()
    document = yaml.safe_load(config.path.read_text())
    del document["files"][0]["checksum"]
    config.path.write_text(yaml.safe_dump(document))
    config = load_config(config.path)
    with pytest.raises(DownloadError, match=r"no digest of net\.onnx.*--allow-unverified"):
        bench.download(config)
    assert not bench.target.exists()
    files = bench.download(config, allow_unverified=True)
    assert files.digests == {"net.onnx": "sha384:" + hashlib.sha384(CONTENT).hexdigest()}


def test_a_valid_file_is_left_alone(bench):
    bench.put(CONTENT)
    before = bench.target.stat()
    bench.download(transport=None)
    after = bench.target.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("content", [OTHER, CONTENT[:-1], b"", CONTENT + b"x"], ids=["other", "short", "empty", "long"])
def test_a_spoilt_file_is_replaced(content, bench):
    bench.put(content)
    bench.download()
    assert bench.target.read_bytes() == CONTENT
    assert bench.transport.calls == [URL]


def test_wrong_bytes_are_an_error_that_says_all_and_the_earlier_file_stays(bench):
    bench.folder = bench.folder.with_name("a folder")
    bench.put(b"earlier")
    bench.transport.answers[URL] = OTHER
    with pytest.raises(HashMismatchError) as caught:
        bench.download()
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert "net.onnx" in message
    assert URL in message
    assert str(bench.target) in message
    assert hashlib.sha384(CONTENT).hexdigest() in message
    assert hashlib.sha384(OTHER).hexdigest() in message
    assert "1024 bytes" in message
    command = shlex.split(message.partition("By hand: ")[2])
    assert command == ["curl", "--create-dirs", "-L", "-o", str(bench.target), URL]
    assert bench.target.read_bytes() == b"earlier"
    assert [path.name for path in bench.folder.iterdir()] == ["net.onnx"]
    assert not bench.stored().exists()


@pytest.mark.parametrize(
    ("announced", "words"),
    [("true", "the server announces another size"), (None, "too many bytes"), (1024, "too many bytes")],
)
def test_a_longer_answer_is_refused(announced, words, bench):
    bench.transport.answers[URL] = CONTENT + b"more"
    bench.transport.announced = announced
    with pytest.raises(HashMismatchError, match=words):
        bench.download()
    assert not bench.target.exists()


@pytest.mark.parametrize(
    ("announced", "words"),
    [("true", "announces another size: expected 1024, got 1020"), (None, "ended early: expected 1024, got 1020")],
)
def test_a_shorter_answer_is_refused(announced, words, bench):
    bench.transport.answers[URL] = CONTENT[:-4]
    bench.transport.announced = announced
    with pytest.raises(DownloadError, match=words):
        bench.download()
    assert not bench.target.exists()


def test_an_endless_answer_stops_at_the_size_of_the_description(bench):
    bench.transport.answers[URL] = itertools.repeat(b"x" * 100)
    bench.transport.announced = None
    with pytest.raises(HashMismatchError, match="too many bytes"):
        bench.download()
    assert bench.transport.sent == 1100


def test_a_broken_connection_is_no_file(bench):
    bench.put(b"earlier")
    bench.transport.break_after = 500
    with pytest.raises(DownloadError, match="the connection broke") as caught:
        bench.download()
    assert not isinstance(caught.value, HashMismatchError)
    assert caught.value.exit_code == 1
    assert bench.target.read_bytes() == b"earlier"


@pytest.mark.parametrize(
    "first",
    [DownloadError("the server refused", got=404), PassingError("no route"), OTHER, CONTENT[:7]],
    ids=["refused", "unreachable", "wrong", "short"],
)
def test_a_mirror_is_used_when_the_first_source_fails(first, bench):
    bench.transport.answers = {URL: first, MIRROR: CONTENT}
    bench.download(bench.config([URL, MIRROR]))
    assert bench.transport.calls == [URL, MIRROR]
    assert bench.target.read_bytes() == CONTENT


def test_sources_are_tried_in_order_the_original_one_last(bench):
    last = "https://z.example.org/net.onnx"
    bench.transport.answers = {url: PassingError(f"no {url}") for url in (URL, MIRROR, last)}
    config = bench.config([MIRROR, URL])
    text = config.path.read_text().replace("  source:\n", f"  original_source: {last}\n  source:\n")
    config.path.write_text(text)
    with pytest.raises(DownloadError) as caught:
        bench.download(load_config(config.path))
    assert bench.transport.calls == [MIRROR, URL, last]
    message = str(caught.value)
    assert message.index(f"no {MIRROR}") < message.index(f"no {URL}") < message.index(f"no {last}")


def test_offline_asks_nobody_and_says_what_is_missing(bench):
    with pytest.raises(OfflineError) as caught:
        bench.download(offline=True)
    assert bench.transport.calls == []
    message = str(caught.value)
    assert "net.onnx is not here and the network is not to be used" in message
    assert URL in message
    assert str(bench.target) in message


def test_offline_takes_what_the_cache_holds(bench, tmp_path):
    bench.download()
    bench.folder = tmp_path / "elsewhere"
    bench.download(offline=True)
    assert bench.target.read_bytes() == CONTENT
    assert bench.transport.calls == [URL]


def test_two_models_with_the_same_file_fetch_it_once(bench, tmp_path):
    bench.download()
    bench.folder = tmp_path / "models" / "twin"
    bench.download(bench.describe({"renamed.onnx": (CONTENT, MIRROR)}, name="twin", network="renamed.onnx"))
    assert (bench.folder / "renamed.onnx").read_bytes() == CONTENT
    assert bench.transport.calls == [URL]


def test_a_changed_copy_does_not_reach_the_cache(bench):
    bench.download()
    bench.target.write_bytes(OTHER)
    assert bench.stored().read_bytes() == CONTENT
    bench.download(offline=True)
    assert bench.target.read_bytes() == CONTENT


def test_a_rotted_cache_entry_is_replaced(bench):
    bench.download()
    bench.target.unlink()
    bench.stored().write_bytes(OTHER)
    bench.download()
    assert bench.transport.calls == [URL, URL]
    assert bench.target.read_bytes() == CONTENT
    assert bench.stored().read_bytes() == CONTENT


def test_a_cache_that_cannot_be_made_does_not_matter(bench):
    bench.cache.write_text("a file where the folder should be")
    bench.download()
    assert bench.target.read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_does_not_matter(bench, full_disk):
    bench.stored().parent.mkdir(parents=True)
    full_disk(bench.cache)
    bench.download()
    assert bench.target.read_bytes() == CONTENT
    assert not bench.stored().exists()


def test_the_cache_of_the_user_is_the_default(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "default_root", lambda: tmp_path / "own")
    bench.download(cache_root=None)
    assert list((tmp_path / "own").rglob(bench.stored().name))


@pytest.fixture
def full_disk(monkeypatch):
    """Every write below a folder fails as on a full disk."""
    real_open = Path.open

    class Full:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.stream.close()

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def fill(folder):
        def opened(path, mode="r", *args, **kwargs):
            stream = real_open(path, mode, *args, **kwargs)
            return Full(stream) if "w" in mode and path.is_relative_to(folder) else stream

        monkeypatch.setattr(Path, "open", opened)

    return fill


@pytest.mark.parametrize("cached", [False, True])
def test_a_full_disk_is_called_a_full_disk(cached, bench, full_disk):
    if cached:
        bench.download()
        bench.target.unlink()
    full_disk(bench.folder)
    with pytest.raises(DownloadError) as caught:
        bench.download()
    assert "No space left on device" in str(caught.value)
    assert "connection" not in str(caught.value)
    assert not isinstance(caught.value, HashMismatchError)
    assert not bench.target.exists()


@pytest.mark.parametrize("cached", [False, True])
def test_a_folder_that_cannot_be_made_is_a_download_error(cached, bench, tmp_path):
    if cached:
        bench.download()
    bench.folder = tmp_path / "file" / "net"
    bench.folder.parent.write_text("no folder")
    with pytest.raises(DownloadError, match="Not a directory|File exists"):
        bench.download()


def test_a_file_source_is_relative_to_the_description(bench, tmp_path, monkeypatch):
    config = bench.config({"$type": "file", "path": "weights/net.onnx"})
    (config.folder / "weights").mkdir()
    (config.folder / "weights" / "net.onnx").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    bench.download(config, offline=True, transport=None)
    assert bench.target.read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "kind"), [(None, DownloadError), (OTHER, HashMismatchError)])
def test_a_bad_file_source_is_named(content, kind, bench):
    config = bench.config({"$type": "file", "path": "own.onnx"})
    if content is not None:
        (config.folder / "own.onnx").write_bytes(content)
    with pytest.raises(DownloadError) as caught:
        bench.download(config, transport=None)
    assert type(caught.value) is kind
    assert str(config.folder / "own.onnx") in str(caught.value)
    assert "curl" not in str(caught.value)


def test_a_file_source_falls_back_to_a_url(bench):
    bench.download(bench.config([{"$type": "file", "path": "own.onnx"}, URL]))
    assert bench.transport.calls == [URL]
    assert bench.target.read_bytes() == CONTENT


def test_what_is_planned_is_decided_without_doing_it(bench):
    (file,) = bench.config().files
    assert plan_file(file, bench.target, bench.cache) == "fetch"
    bench.download()
    assert plan_file(file, bench.target, bench.cache) == "keep"
    bench.target.unlink()
    assert plan_file(file, bench.target, bench.cache) == "copy"
    assert bench.transport.calls == [URL]


SCRIPT = b"import os\nprint('a')\nprint('b')\n"
SCRIPT_URL = "https://a.example.org/tools/run.py"


@pytest.fixture
def patched(bench):
    bench.transport.answers[SCRIPT_URL] = SCRIPT

    def config(*steps, content=SCRIPT):
        bench.transport.answers[SCRIPT_URL] = content
        files = {"net.onnx": (CONTENT, URL), "tools/run.py": (content, SCRIPT_URL)}
        made = [{"$type": "regex_replace", "file": "tools/run.py", **step} for step in steps]
        return bench.describe(files, postprocessing=made)

    return config


def test_a_pattern_is_replaced_and_the_original_kept(bench, patched):
    config = patched({"pattern": r"print\('(.)'\)", "replacement": r"log('\1')"})
    script, original = bench.folder / "tools" / "run.py", bench.folder / "tools" / "run.py.orig"
    for _ in range(3):
        bench.download(config)
        assert script.read_bytes() == b"import os\nlog('a')\nlog('b')\n"
        assert original.read_bytes() == SCRIPT
    assert bench.transport.calls == [URL, SCRIPT_URL]


def test_a_patched_file_needs_no_cache_the_second_time(bench, patched, tmp_path):
    config = patched({"pattern": "os", "replacement": "sys"})
    bench.download(config)
    bench.cache = tmp_path / "another"
    bench.download(config, offline=True)
    assert (bench.folder / "tools" / "run.py").read_bytes().startswith(b"import sys\n")


def test_two_patterns_in_one_file_keep_the_first_original(bench, patched):
    config = patched({"pattern": "os", "replacement": "sys"}, {"pattern": "'b'", "replacement": "'c'", "count": 1})
    for _ in range(2):
        bench.download(config)
        assert (bench.folder / "tools" / "run.py").read_bytes() == b"import sys\nprint('a')\nprint('c')\n"
        assert (bench.folder / "tools" / "run.py.orig").read_bytes() == SCRIPT


def test_the_original_of_an_earlier_version_is_replaced(bench, patched):
    step = {"pattern": "os", "replacement": "sys"}
    bench.download(patched(step, content=b"import os  # version 1\n"))
    bench.download(patched(step))
    assert (bench.folder / "tools" / "run.py.orig").read_bytes() == SCRIPT


def test_a_count_replaces_the_first_ones(bench, patched):
    bench.download(patched({"pattern": "print", "replacement": "log", "count": 1}))
    assert (bench.folder / "tools" / "run.py").read_bytes() == b"import os\nlog('a')\nprint('b')\n"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"pattern": "print", "replacement": "log", "count": 3}, "does not fit: expected 3 matches, got 2"),
        ({"pattern": "missing", "replacement": "x"}, "does not fit: expected at least 1 matches, got 0"),
        ({"pattern": "print", "replacement": r"\7"}, "bad replacement"),
    ],
)
def test_a_replacement_that_does_not_fit_is_an_error(step, words, bench, patched):
    with pytest.raises(ConfigError, match=words) as caught:
        bench.download(patched(step))
    assert str(bench.folder / "tools" / "run.py") in str(caught.value)
    assert (bench.folder / "tools" / "run.py").read_bytes() == SCRIPT


def test_a_replacement_in_a_binary_file_is_an_error(bench, patched):
    with pytest.raises(ConfigError, match="needs a UTF-8 text file"):
        bench.download(patched({"pattern": "a", "replacement": "b"}, content=b"\xff\xfe"))
