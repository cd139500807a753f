"""The answers of workers: every value and error arrives as it was, and a pickle is not read."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ov_mobilenet.bulk_classification.parts import PartFacts
from ov_mobilenet.bulk_classification.ray_answers import Answer, decode_answer, encode_answer, error_answer
from ov_mobilenet.bulk_classification.ray_worker import ShardWorker, WorkerSetup
from ov_mobilenet.bulk_classification.shards import FailedShard
from ov_mobilenet.errors import HashMismatchError, ImageError, OutputError, OvMobilenetError, UsageError

PART = PartFacts(
    name="part-00007.parquet", shard="ab", images=3, errors=1, bytes=9, device="CPU", inference_precision="f32"
)
FAILED = FailedShard(index=7, part="part-00007.parquet", shard="ab", source="x.tar", reason="lost", again=True)


@pytest.mark.parametrize("answer", [PART, FAILED, FailedShard(index=0, part="p", shard="s", source="", reason="r")])
def test_facts_and_failures_arrive_as_they_were(answer: Answer) -> None:
    assert decode_answer(encode_answer(answer)) == answer


@pytest.mark.parametrize("kind", [OvMobilenetError, ImageError, OutputError, HashMismatchError])
def test_an_error_arrives_with_its_class_and_all_fields(kind: type[OvMobilenetError]) -> None:
    sent = kind("no room", where="/out", expected="1", got="0", fix="Free space")
    with pytest.raises(OvMobilenetError) as raised:
        decode_answer(encode_answer(error_answer(sent, "node")))
    assert type(raised.value) is kind
    assert str(raised.value) == str(sent)
    assert raised.value.exit_code == kind.exit_code


def test_an_error_with_a_name_that_is_not_utf_8_arrives() -> None:
    sent = ImageError("no image", where=os.fsdecode(b"caf\xe9.jpg"))
    with pytest.raises(ImageError, match=r"caf\\udce9\.jpg: no image"):
        decode_answer(encode_answer(error_answer(sent, "node")))


def test_an_unexpected_error_arrives_with_its_traceback() -> None:
    try:
        raise KeyError(os.fsdecode(b"caf\xe9"))
    except KeyError as error:
        sent = encode_answer(error_answer(error, "node7"))
    with pytest.raises(OvMobilenetError, match="node7: unexpected error in a worker: got KeyError") as raised:
        decode_answer(sent)
    assert "test_an_unexpected_error_arrives" in str(raised.value.__cause__)


@pytest.mark.parametrize("name", ["SystemExit", "Popen", "os.system", ""])
def test_only_errors_of_this_package_are_created(name: str) -> None:
    sent = encode_answer(error_answer(OvMobilenetError("no room"), "node")).replace(b"OvMobilenetError", name.encode())
    with pytest.raises(OvMobilenetError, match="no room") as raised:
        decode_answer(sent)
    assert type(raised.value) is OvMobilenetError


class _Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (7,)


@pytest.mark.parametrize(
    "data", [pickle.dumps(_Bomb()), b"", b"{}", b"[]", b'{"part": 7}', b'{"error": {}}', b"\xff", b'{"part": "\xff"}']
)
def test_another_answer_is_one_error(data: bytes) -> None:
    with pytest.raises(OvMobilenetError, match="a worker of the Ray cluster has answered"):
        decode_answer(data)


def test_a_worker_that_cannot_open_the_output_answers_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in its constructor would make Ray start it again, without end."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
    worker = ShardWorker("node", None, None, WorkerSetup("s3:///x", {}, 1, str(Path.cwd()), None))
    with pytest.raises(UsageError, match="the URL has no bucket"):
        decode_answer(worker.answer({"index": 0, "offset": 0, "length": 1, "digest": ""}))
