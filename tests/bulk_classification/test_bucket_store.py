"""Outputs in a bucket: moto's S3 server on this machine. Files appear whole, whatever interrupts an upload."""

from __future__ import annotations

import hashlib
import mmap
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bulk_output_cases import RUN, SHARDS, opened, with_settings, write_output, write_part

import ov_mobilenet.bulk_classification.bucket_store as buckets
from ov_mobilenet.bulk_classification.bucket_store import BucketStore
from ov_mobilenet.bulk_classification.remote_files import file_system
from ov_mobilenet.bulk_classification.stores import Store, open_store
from ov_mobilenet.errors import OutputError, UsageError

pytestmark = pytest.mark.bulk

moto = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")
ds = pytest.importorskip("pyarrow.dataset")

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "results"
PART = "part-00000.parquet"
# Writes a file of 64 MB in chunks of 16 MB. After the first chunk it tells so; then it waits for a line.
INTERRUPTED = """
import sys
import ov_mobilenet.bulk_classification.bucket_store as buckets
from ov_mobilenet.bulk_classification.stores import open_store
buckets.CHUNK, buckets.PAUSES_S = 16 << 20, ()
store = open_store(sys.argv[1])
class Streams:
    def __init__(self, fs):
        self.fs = fs
    def __getattr__(self, name):
        return getattr(self.fs, name)
    def open_output_stream(self, path):
        return Stream(self.fs.open_output_stream(path))
class Stream:
    chunks = 0
    def __init__(self, stream):
        self.stream = stream
    def __getattr__(self, name):
        return getattr(self.stream, name)
    def flush(self):
        self.stream.flush()
        self.chunks += 1
        if self.chunks == 1:
            print("first chunk", flush=True)
            if sys.stdin.readline() == "fail\\n":
                raise MemoryError
store._fs = Streams(store._fs)
try:
    store.write("part-00000.parquet", b"1" * (64 << 20))
except KeyboardInterrupt:
    print("interrupted")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    threaded = moto.ThreadedMotoServer(port=0, verbose=False)
    threaded.start()
    host, port = threaded.get_host_and_port()
    yield f"{host}:{port}"
    threaded.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "do-not-store"), ("AWS_EC2_METADATA_DISABLED", "true"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://{server}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.close()


@pytest.fixture
def url(server: str, s3: Any) -> str:
    return f"s3://{BUCKET}/out?endpoint_override={server}&scheme=http&region=us-east-1"


def keys(s3: Any) -> dict[str, int]:
    found = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {one["Key"]: one["Size"] for one in found if one["Size"] or not one["Key"].endswith("/")}


def test_files_are_written_listed_read_and_deleted(url: str, s3: Any) -> None:
    store: Store = open_store(url)
    store.begin()
    assert store.sizes() == {}
    store.write("a", b"0123456789")
    store.write("b", b"first")
    store.write("b", b"")
    s3.put_object(Bucket=BUCKET, Key="out/folder/c", Body=b"1")
    s3.put_object(Bucket=BUCKET, Key="outside", Body=b"1")
    assert store.sizes() == {"a": 10, "b": 0, "folder/": 0}
    assert (store.read("a"), store.read("a", 7), store.read("a", 2, 3)) == (b"0123456789", b"789", b"234")
    with store.open("a") as file:
        file.seek(8)
        assert file.read() == b"89"
    assert s3.get_object(Bucket=BUCKET, Key="out/a")["Body"].read() == b"0123456789"
    store.delete("a")
    store.delete("a")
    assert keys(s3) == {"out/b": 0, "out/folder/c": 1, "outside": 1}
    with pytest.raises(OutputError, match=f"s3://{BUCKET}/out/a: the output cannot be read .*it does not exist"):
        store.read("a")
    store.end()


def test_a_large_local_file_is_uploaded_whole(
    url: str, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "CHUNK", 6 << 20)
    data = random.Random(0).randbytes(20_000_001)
    (tmp_path / "list").write_bytes(data)
    with (tmp_path / "list").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        open_store(url).write("_shards.jsonl", view)
    body = s3.get_object(Bucket=BUCKET, Key="out/_shards.jsonl")["Body"]
    assert hashlib.sha256(body.read()).digest() == hashlib.sha256(data).digest()
    body.close()


def test_inputs_in_the_bucket_are_told_from_those_in_the_output(url: str) -> None:
    store = open_store(url)
    folder, _, options = url.partition("?")
    folder = folder.rstrip("/")
    assert store.holds(f"{folder}/{PART}?{options}")
    assert store.holds(f"{folder}/{PART}")
    for other in (f"{folder}/deeper/{PART}", f"{folder}2/{PART}", f"s3://other/{PART}", PART, f"/{PART}"):
        assert not store.holds(other)


def test_a_listing_has_more_than_one_page(url: str, s3: Any) -> None:
    for number in range(1005):
        s3.put_object(Bucket=BUCKET, Key=f"out/part-{number:05}.parquet", Body=b"12")
    assert open_store(url).sizes() == {f"part-{number:05}.parquet": 2 for number in range(1005)}
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": f"out/part-{n:05}.parquet"} for n in range(1000)]})


@pytest.mark.parametrize("happens", ["kill", "Ctrl-C", "failure"])
def test_an_interrupted_upload_is_whole_or_absent(happens: str, url: str, s3: Any) -> None:
    open_store(url).write(PART, b"an earlier attempt")
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "first chunk\n"
        if happens == "kill":
            process.kill()
            assert process.wait() == -signal.SIGKILL
            assert keys(s3) == {f"out/{PART}": len(b"an earlier attempt")}
            return
        if happens == "Ctrl-C":
            process.send_signal(signal.SIGINT)
        printed, _ = process.communicate("fail\n" if happens == "failure" else "go on\n", timeout=120)
    if happens == "Ctrl-C":
        assert printed == "interrupted\n"
        assert keys(s3) == {f"out/{PART}": 64 << 20}
    else:
        assert re.match(r"OutputError .*the file has \d+ bytes after the upload of 67108864 bytes", printed)
        assert keys(s3) == {}


class FailingUploads:
    """A file system whose first uploads fail."""

    def __init__(self, fs: Any, failures: int) -> None:
        self._fs = fs
        self.left = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def open_output_stream(self, path: str) -> Any:
        self.left -= 1
        if self.left >= 0:
            raise OSError(
                "When initiating multiple part upload: AWS Error NETWORK_CONNECTION during CreateMultipartUpload"
            )
        return self._fs.open_output_stream(path)


def test_an_upload_is_tried_again_after_a_lost_connection(url: str, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PAUSES_S", (0.0, 0.0, 0.0))
    store = BucketStore(url)
    fs = store._fs
    store._fs = FailingUploads(fs, 3)
    store.write(PART, b"whole")
    assert keys(s3) == {f"out/{PART}": 5}
    store._fs = FailingUploads(fs, 4)
    with pytest.raises(
        OutputError, match=r"NETWORK_CONNECTION.*\. The parts that are done are kept: run the same command"
    ):
        store.write(PART, b"another attempt")
    assert keys(s3) == {f"out/{PART}": 5}


def test_a_bucket_that_cannot_be_used_is_reported(server: str, s3: Any) -> None:
    options = f"?endpoint_override={server}&scheme=http&region=us-east-1"
    with pytest.raises(OutputError, match=r"s3://no-such-bucket/out/a: .*the bucket does not exist\). Correct the URL"):
        open_store(f"s3://no-such-bucket/out{options}").write("a", b"1")
    with pytest.raises(UsageError, match="cannot contain a user name or password"):
        open_store(f"s3://user:secret@{BUCKET}/out")


def test_a_run_into_a_bucket_is_resumed_completed_and_overwritten(url: str, s3: Any) -> None:
    write_output(url, (0, 1, 3), recorded=lambda index: index == 0)
    with opened(url) as state:
        assert [place.index for place in state.pending] == [2]
        state.add(write_part(state, 2))
        state.save()
    names = {*(f"part-0000{index}.parquet" for index in range(4)), "_manifest.json", "_shards.jsonl", "_SUCCESS"}
    assert set(keys(s3)) == {f"out/{name}" for name in names}
    document = s3.get_object(Bucket=BUCKET, Key="out/_manifest.json")["Body"].read()
    assert b"do-not-store" not in document
    with opened(url) as state:
        assert state.pending == []
        assert state.manifest().encode() == document

    fs, path = file_system(url)
    rows = ds.dataset(path, filesystem=fs).to_table(columns=["source"])["source"].to_pylist()
    assert rows == [source for shard in SHARDS for source in shard.paths]

    with pytest.raises(OutputError, match="expected top-k 5, got top-k 3"):
        opened(url, run=with_settings(top_k="3"))
    with pytest.raises(OutputError, match=r"image 1 of part-00001.parquet from in/1-0x*.png, got .*, in/2-0"):
        opened(url, (SHARDS[0], *SHARDS[2:]), RUN)
    with opened(url, run=with_settings(top_k="3"), overwrite=True) as state:
        assert len(state.pending) == 4
    assert set(keys(s3)) == {"out/_manifest.json", "out/_shards.jsonl"}


def test_two_runs_into_one_bucket_at_the_same_time_end_complete(url: str, s3: Any) -> None:
    with opened(url) as first, opened(url) as second:
        for index in (0, 1):
            first.add(write_part(first, index))
        for index in (1, 2, 3, 0):
            second.add(write_part(second, index, device="GPU"))
        second.save()
        assert set(keys(s3)) >= {"out/_SUCCESS", "out/_manifest.json"}
        first.save()  # the last manifest has two parts, with the sizes that they had before
    with opened(url) as state:
        assert state.pending == []
        sizes = {f"out/{name}": part.bytes for name, part in state.done.items()}
        assert sizes == {name: size for name, size in keys(s3).items() if "part-" in name}
        assert state.manifest().state == "complete"
