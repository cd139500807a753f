"""Inputs of `bulk` in S3, with moto's server and with servers that break connections."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from inputs.media import shard

from ov_mobilenet.bulk_classification import remote_files, remote_reading
from ov_mobilenet.bulk_classification.found_inputs import find_shards
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shard_items import ShardReadError, read_items
from ov_mobilenet.bulk_classification.shards import Shard, parse_shard
from ov_mobilenet.errors import ImageError, OvMobilenetError, UsageError

pytestmark = pytest.mark.bulk

JPEGS = [f"image {number} ".encode() * 9 for number in range(40)]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("EC2_METADATA_DISABLED", "true")):
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(remote_files, "REQUEST_ATTEMPTS", 2)
    monkeypatch.setattr(remote_files, "GCS_RETRY_S", 1)


def options(port: int) -> str:
    return f"?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"


class Bucket:
    """A bucket of moto's server, and reading from it."""

    def __init__(self, client: Any, port: int) -> None:
        self.client = client
        self.port = port
        self.options = options(port)

    def put(self, **files: bytes) -> None:
        for key, data in files.items():
            self.client.put_object(Bucket="photos", Key=key, Body=data)

    def url(self, key: str) -> str:
        return f"s3://photos/{key}{self.options}"

    def shards(self, *inputs: str, **settings: Any) -> list[Shard]:
        return [parse_shard(one.line()) for one in find_shards(inputs, BulkSettings(**settings))]

    def read(self, *inputs: str, **settings: Any) -> list[tuple[str, Any]]:
        """Source and image, or the error as text."""
        return [
            (item.source, str(item.image) if isinstance(item.image, ImageError) else item.image)
            for one in self.shards(*inputs, **settings)
            for item in read_items(one, BulkSettings(**settings))
        ]


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    ThreadedMotoServer = pytest.importorskip("moto.server").ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    yield moto.get_host_and_port()[1]
    moto.stop()


@pytest.fixture
def bucket(server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    import boto3
    import requests

    requests.post(f"http://127.0.0.1:{server}/moto-api/reset", timeout=30).close()
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{server}", region_name="us-east-1")
    client.create_bucket(Bucket="photos")
    yield Bucket(client, server)
    client.close()


KEYS = ("b.jpg", "a/z.PNG", "a/deep/x.webp", "a-b/c.jpg", "a.jpg", "a b+c%20é#.jpg", "notes.txt", "0/1.tar")


def test_a_folder_is_read_recursively_in_the_order_of_a_local_one(bucket: Bucket, tmp_path: Path) -> None:
    for number, key in enumerate(KEYS):
        bucket.put(**{f"in/{key}": JPEGS[number]})
        (tmp_path / key).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / key).write_bytes(JPEGS[number])
    bucket.put(**{"in2/other.jpg": b"", "in/folder.jpg/": b""})
    local = [(path, Path(path).read_bytes()) for one in bucket.shards(str(tmp_path)) for path in one.paths]
    expected = [(f"s3://photos/in{path.removeprefix(str(tmp_path))}", data) for path, data in local]
    assert len(expected) == 6
    for text in ("in", "in/"):
        assert bucket.read(bucket.url(text), images_per_part=4) == expected
    assert bucket.read(bucket.url("in/a/")) == [pair for pair in expected if "/a/" in pair[0]]
    assert [source for source, _ in bucket.read(bucket.url(""))][-1] == "s3://photos/in2/other.jpg"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.jpg", ["a b+c%20é#.jpg", "a.jpg", "b.jpg"]),
        ("in/?.jpg", ["a.jpg", "b.jpg"]),
        ("in/[!b].jpg", ["a.jpg"]),
        ("in/[a-b].*", ["a.jpg", "b.jpg"]),
        ("in/*/*.[jP]*", ["a-b/c.jpg", "a/z.PNG"]),
        ("in/**/*.webp", ["a/deep/x.webp"]),
        ("in/**/?.jpg", ["a-b/c.jpg", "a.jpg", "b.jpg"]),
        ("in/**", sorted(KEYS)),
        ("in/a*/", ["a-b/c.jpg", "a/deep/x.webp", "a/z.PNG"]),
        ("i*/b.jpg", ["b.jpg"]),
    ],
)  # fmt: skip
def test_patterns(pattern: str, expected: list[str], bucket: Bucket) -> None:
    for key in KEYS:
        bucket.put(**{f"in/{key}": JPEGS[0]})
    found = [path for one in bucket.shards(bucket.url(pattern)) for path in one.paths]
    assert found == [bucket.url(f"in/{key}") for key in expected]


def test_a_key_with_wildcards_in_its_name_is_found(bucket: Bucket) -> None:
    bucket.put(**{"x[1].jpg": b"1", "x1.jpg": b"2"})
    assert bucket.read(bucket.url("x[1].jpg")) == [("s3://photos/x[1].jpg", b"1")]


def test_a_list_of_remote_and_local_files(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "local.jpg").write_bytes(JPEGS[0])
    tar = shard(tmp_path / "s.tar", {"x.jpg": JPEGS[2]}).read_bytes()
    bucket.put(**{"in/1.jpg": JPEGS[1], "in/s.tar": tar, "more/2.jpg": JPEGS[2]})
    lines = [
        bucket.url("in/1.jpg"), str(tmp_path / "local.jpg"), bucket.url("in/s.tar"), bucket.url("more"),
        bucket.url("in/*.jpg"), bucket.url("missing.jpg"), bucket.url("missing.tar"),
    ]  # fmt: skip
    bucket.put(**{"list.txt": "\n".join(lines).encode()})
    missing = "cannot be read (it does not exist)"
    assert bucket.read(f"@{bucket.url('list.txt')}") == [
        ("s3://photos/in/1.jpg", JPEGS[1]),
        (str(tmp_path / "local.jpg"), str(tmp_path / "local.jpg")),
        ("s3://photos/in/s.tar/x.jpg", JPEGS[2]),
        ("s3://photos/more/2.jpg", JPEGS[2]),
        ("s3://photos/in/*.jpg", missing),
        ("s3://photos/missing.jpg", missing),
        ("s3://photos/missing.tar", "the shard cannot be read to its end (it does not exist)"),
    ]


def test_tars_are_read_as_local_ones(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_reading, "BLOCK_BYTES", 10_000)
    members = {f"{n}.{kind}": JPEGS[n] for n in range(40) for kind in ("jpg", "skipped")}
    whole = shard(tmp_path / "1.tar", members)
    gzipped = shard(tmp_path / "2.tar.gz", members, "w:gz")
    (tmp_path / "3.tar").write_bytes(whole.read_bytes()[:30_000])
    (tmp_path / "4.tar").write_bytes(b"")
    (tmp_path / "5.tgz").write_bytes(gzipped.read_bytes()[:-5])
    paths = sorted(tmp_path.iterdir())
    for path in paths:
        bucket.put(**{f"tars/{path.name}": path.read_bytes()})
    local = bucket.read(*map(str, paths))
    assert len(local) > 100
    remote = bucket.read(bucket.url("tars/*.t*"))
    assert remote == [(source.replace(str(tmp_path), "s3://photos/tars"), data) for source, data in local]
    assert [one.size for one in bucket.shards(bucket.url("tars/*"))] == [path.stat().st_size for path in paths]


def test_parquet_files_are_read_as_local_ones(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(remote_reading, "BLOCK_BYTES", 5_000)
    pq.write_table(pa.table({"image": JPEGS, "id": list(range(40))}), tmp_path / "1.parquet", row_group_size=7)
    whole = (tmp_path / "1.parquet").read_bytes()
    (tmp_path / "2.parquet").write_bytes(b"damaged")
    group = pq.read_metadata(tmp_path / "1.parquet").row_group(2).column(0)
    begin = group.dictionary_page_offset or group.data_page_offset
    (tmp_path / "3.parquet").write_bytes(whole[:begin] + b"\xff" * 50 + whole[begin + 50 :])
    paths = sorted(tmp_path.iterdir())
    for path in paths:
        bucket.put(**{f"pq/{path.name}": path.read_bytes()})
    for settings in ({"images_per_part": 10}, {"source_column": "id"}):
        local = bucket.read(*map(str, paths), **settings)
        assert 70 < len(local) < 80
        remote = bucket.read(bucket.url("pq/*.parquet"), **settings)
        assert remote == [(source.replace(str(tmp_path), "s3://photos/pq"), data) for source, data in local]
    bucket.put(**{"x.jpg": JPEGS[0]})
    pq.write_table(pa.table({"path": [bucket.url("x.jpg"), "y.jpg", bucket.url("z.jpg")]}), tmp_path / "p.parquet")
    assert bucket.read(str(tmp_path / "p.parquet")) == [
        ("s3://photos/x.jpg", JPEGS[0]),
        ("y.jpg", "y.jpg"),
        ("s3://photos/z.jpg", "cannot be read (it does not exist)"),
    ]  # fmt: skip


def test_large_images_are_read_one_at_a_time_and_too_large_ones_are_not_read(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ov_mobilenet.bulk_classification import shard_items

    monkeypatch.setattr(shard_items, "MAX_AHEAD_BYTES", 1000)
    monkeypatch.setattr(remote_reading, "MAX_FILE_BYTES", 5000)
    sizes = [10, 1001, 0, 5000, 5001, 20]
    bucket.put(**{f"{n}.jpg": b"x" * size for n, size in enumerate(sizes)})
    images = [data for _, data in bucket.read(bucket.url(""))]
    assert [len(data) if isinstance(data, bytes) else data for data in images] == [
        10, 1001, 0, 5000, "file too large: expected at most 5000 bytes, got 5001", 20,
    ]  # fmt: skip


def test_a_key_that_pyarrow_cannot_name_is_a_failure(bucket: Bucket) -> None:
    bucket.put(**{"in//a.jpg": b"1", "in/b.jpg": b"2"})
    first, second = bucket.read(bucket.url("in"))
    assert (first[0], second) == ("s3://photos/in//a.jpg", ("s3://photos/in/b.jpg", b"2"))
    assert "Empty path component" in first[1]


def test_the_endpoint_can_come_from_the_environment(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.client.put_object(Bucket="photos", Key="a.jpg", Body=b"1", ACL="public-read")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{bucket.port}/")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    remote_files._connected.cache_clear()
    assert bucket.read("s3://photos/a.jpg") == [("s3://photos/a.jpg", b"1")]
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}")
    assert bucket.read("S3://photos/?anonymous=true") == [("s3://photos/a.jpg", b"1")]
    remote_files._connected.cache_clear()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("s3://nowhere/a.jpg", "s3://nowhere: the bucket does not exist"),
        ("s3://nowhere/", "s3://nowhere: the bucket does not exist"),
        ("s3://nowhere/in", "s3://nowhere: the bucket does not exist"),
        ("s3://nowhere/*.jpg", "s3://nowhere: the bucket does not exist"),
        ("@s3://photos/list.txt", "the list cannot be read .it does not exist"),
        ("s3://photos/nothing/*.jpg", "s3://photos/nothing/.*: no file matches the pattern"),
        ("s3://photos/shards/", r"s3://photos/shards/: .*there are none.*'s3://photos/shards/\*\*/\*.tar'"),
        ("s3://photos/empty/", "no images"),
    ],
)  # fmt: skip
def test_errors_come_before_any_image(key: str, message: str, bucket: Bucket) -> None:
    bucket.put(**{"shards/deep/1.tar": b"x", "empty/notes.txt": b""})
    with pytest.raises(OvMobilenetError, match=message):
        bucket.shards(key + bucket.options)


# Servers that fail


class Flaky(BaseHTTPRequestHandler):
    """Serves `FILES`; what goes wrong is in `fault`, which gets the method, the key and the number of the request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        server: Any = self.server
        key = self.path.partition("?")[0].removeprefix("/photos/")
        data: bytes = server.files.get(key, b"")
        status, cut = server.fault(self.command, key)
        if status != 200:
            data = b"<Error><Code>Failed</Code></Error>"
        elif with_body and (span := self.headers.get("Range")):
            begin, end = span.removeprefix("bytes=").split("-")
            data, status = data[int(begin) : int(end) + 1], 206
        if cut:
            self.close_connection = True
        if cut and not with_body:
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT")
        self.end_headers()
        if with_body:
            self.wfile.write(data[: len(data) // 2] if cut else data)


class FlakyServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Flaky)
        self.files: dict[str, bytes] = {}
        self.fault: Any = lambda method, key: (200, False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    def shard(self, *keys: str, kind: Any = "images", **values: Any) -> Shard:
        return Shard(0, kind, tuple(f"s3://photos/{key}{options(self.server_port)}" for key in keys), **values)


@pytest.fixture
def flaky() -> Iterator[FlakyServer]:
    with FlakyServer() as server:
        server.files = {f"{n}.jpg": JPEGS[n] for n in range(30)}
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


FAULTS = [(500, False), (503, False), (429, False), (301, False), (200, True)]
NAMES = [f"{n}.jpg" for n in range(30)]


def content(one: Shard) -> list[Any]:
    return [
        str(item.image) if isinstance(item.image, ImageError) else item.image
        for item in read_items(one, BulkSettings())
    ]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_image_that_cannot_be_read_now_is_not_a_failure(
    fault: tuple[int, bool], method: str, flaky: FlakyServer
) -> None:
    flaky.fault = lambda used, key: fault if (used, key) == (method, "20.jpg") else (200, False)
    items = read_items(flaky.shard(*NAMES), BulkSettings())
    for number in range(20):
        assert next(items).image == JPEGS[number]
    with pytest.raises(ShardReadError, match="s3://photos/20.jpg: "):
        next(items)


def test_a_request_that_fails_once_is_repeated(flaky: FlakyServer) -> None:
    failed: set[tuple[str, str]] = set()

    def fault(method: str, key: str) -> tuple[int, bool]:
        is_first = (method, key) not in failed
        failed.add((method, key))
        return (503 if is_first else 200), False

    flaky.fault = fault
    assert content(flaky.shard(*NAMES[:3])) == JPEGS[:3]


@pytest.mark.parametrize("status", [404, 403, 400])
def test_one_image_that_is_missing_or_forbidden_is_a_failure(status: int, flaky: FlakyServer) -> None:
    for place in (0, 7, 29):
        flaky.fault = lambda method, key, bad=f"{place}.jpg": (status if key == bad else 200, False)
        found = content(flaky.shard(*NAMES))
        assert ("it does not exist" if status == 404 else "access denied") in found[place]
        found[place] = JPEGS[place]
        assert found == JPEGS[:30]


def test_access_that_is_denied_to_all_images_is_not_a_failure_of_each(flaky: FlakyServer) -> None:
    """As when a session ends during a run."""
    lock = threading.Lock()
    for allowed in (0, 20):
        requests = 0

        def fault(method: str, key: str, allowed: int = allowed) -> tuple[int, bool]:
            nonlocal requests
            with lock:
                requests += 1
                return (200 if requests <= allowed else 403), False

        flaky.fault = fault
        found = []
        with pytest.raises(ShardReadError, match="access denied, or the credentials are missing or expired"):
            for item in read_items(flaky.shard(*NAMES), BulkSettings()):
                found.append(item.image)
        assert found == JPEGS[: len(found)]


@pytest.mark.parametrize("fault", [*FAULTS, (403, False), (400, False)], ids=str)
@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_shard_that_cannot_be_read_now_is_not_a_failure(
    fault: tuple[int, bool], kind: str, flaky: FlakyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_reading, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(remote_reading, "BLOCKS_AHEAD", 0)
    if kind == "tar":
        data = shard(tmp_path / "x", {f"{n}.jpg": JPEGS[n] for n in range(30)}).read_bytes()
        one = flaky.shard("x", kind="tar")
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        out = io.BytesIO()
        pq.write_table(
            pa.table({"image": [jpeg * 20 for jpeg in JPEGS[:30]]}),
            out,
            row_group_size=3,
            compression="none",
            use_dictionary=False,
        )
        data = out.getvalue()
        one = flaky.shard("x", kind="parquet", row_groups=(0, 10))
    flaky.files = {"x": data}
    expected = content(one)
    assert [data[: len(JPEGS[0])] for data in expected] == [jpeg[: len(JPEGS[0])] for jpeg in JPEGS[:30]]
    requests = 0

    def later(method: str, key: str) -> tuple[int, bool]:
        nonlocal requests
        requests += 1
        return fault if requests > 5 else (200, False)

    flaky.fault = later
    found = []
    with pytest.raises(ShardReadError, match="s3://photos/x: "):
        for item in read_items(one, BulkSettings()):
            found.append(item.image)
    assert found == expected[: len(found)]
    assert 0 < len(found) < 30


@pytest.mark.parametrize("text", ["s3://photos/in/", "s3://photos/x.tar", "s3://photos/*.jpg", "@s3://photos/l.txt",
                                  "s3://photos/x.parquet", "gs://photos/in/", "gs://photos/x.tar"])  # fmt: skip
def test_a_server_that_cannot_be_reached_is_one_error_before_any_image(text: str) -> None:
    query = "?endpoint_override=127.0.0.1:9&scheme=http" + ("&anonymous=true" if text.startswith("gs") else "")
    with pytest.raises(ImageError, match="(?i)connect") as caught:
        list(find_shards([text + query], BulkSettings()))
    assert len(str(caught.value)) < 700


def test_access_that_is_denied_is_one_error_before_any_image(flaky: FlakyServer) -> None:
    flaky.fault = lambda method, key: (403, False)
    for text in ("s3://photos/in/", "s3://photos/x.tar", "s3://photos/x.parquet", "@s3://photos/list.txt"):
        with pytest.raises(ImageError, match="access denied, or the credentials are missing or expired"):
            list(find_shards([text + options(flaky.server_port)], BulkSettings()))


def test_a_stream_that_is_ended_early_leaves_no_threads(flaky: FlakyServer) -> None:
    items = read_items(flaky.shard(*NAMES), BulkSettings())
    next(items)
    items.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name.startswith("remote-"):
            thread.join(60)
            assert not thread.is_alive()


def test_an_interrupted_stream_does_not_wait_for_a_server_that_does_not_answer(flaky: FlakyServer) -> None:
    answer = threading.Event()

    def fault(method: str, key: str) -> tuple[int, bool]:
        if key != "0.jpg":
            answer.wait(60)
        return 200, False

    flaky.fault = fault
    items = read_items(flaky.shard(*NAMES), BulkSettings())
    assert next(items).image == JPEGS[0]
    items.close()  # type: ignore[attr-defined]
    assert any(thread.name.startswith("remote-") for thread in threading.enumerate())
    answer.set()


def test_credentials_are_refused_and_not_shown() -> None:
    for text in ("s3://key:secret@bucket/x", "gs://secret@bucket/x"):
        with pytest.raises(UsageError, match="cannot contain a user name or password") as caught:
            remote_files.parse_url(text)
        assert "secret" not in str(caught.value)
