"""Network files that crash a library, never end, or name files and memory that are not theirs."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import small_networks as small
from attacks.generators.networks import unpack

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.conversion.converter import convert_network
from ov_mobilenet.conversion.inspection import inspect_source
from ov_mobilenet.conversion.sources.onnx_data import data_files
from ov_mobilenet.errors import ConversionError, MissingDependencyError, OvMobilenetError
from ov_mobilenet.isolation import isolated_function as isolation
from ov_mobilenet.isolation.isolated_function import IsolatedFunction, Task

onnx = pytest.importorskip("onnx")

CONVERT = ["--name", "net", "--preset", "torchvision", "--precisions", "FP32"]


# Tasks that run in the child process, from bytes to bytes


def task_crash(kind: str) -> Callable[[bytes], bytes]:
    if kind == "at once":
        ctypes.string_at(0)
    return lambda request: ctypes.string_at(0)


def task_endless() -> Callable[[bytes], bytes]:
    while True:
        pass


def task_error(kind: str) -> Callable[[bytes], bytes]:
    if kind == "own":
        raise MissingDependencyError("no such package", where="x", fix="Install it")
    raise ZeroDivisionError("by nothing")


def task_echo() -> Callable[[bytes], bytes]:
    (Path(tempfile.gettempdir()) / "left").write_text(str(os.getpid()))
    return lambda request: tempfile.gettempdir().encode() if request == b"folder" else request


def isolated(name: str, *arguments: object, limit_s: float = 30.0) -> IsolatedFunction:
    task = Task(f"{__name__}.{name}", arguments, ("json",), "reading the network", Path("net.tflite"))
    return IsolatedFunction(task, limit_s)


def test_a_crash_in_the_child_process_is_an_error_with_file_and_signal() -> None:
    with pytest.raises(ConversionError, match=r"^net\.tflite: reading the network crashed: got signal SIGSEGV"):
        isolated("task_crash", "at once")
    later = isolated("task_crash", "later")
    with pytest.raises(ConversionError, match="crashed: got signal SIGSEGV"):
        later(b"", 30.0)


def test_a_task_that_does_not_end_is_ended() -> None:
    with pytest.raises(ConversionError, match=r"net\.tflite: reading the network takes too long: expected at most 0.2"):
        isolated("task_endless", limit_s=0.2)


def test_an_error_in_the_child_process_is_the_same_error_here() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        isolated("task_error", "own")
    assert str(caught.value) == "x: no such package. Install it"
    with pytest.raises(ConversionError, match="ZeroDivisionError: by nothing"):
        isolated("task_error", "foreign")


def test_answers_of_two_tasks_are_kept_apart_and_nothing_is_left() -> None:
    one, two = isolated("task_echo"), isolated("task_echo")
    large = bytes(range(256)) * 20_000
    assert (one(b"1", 30.0), two(large, 30.0), one(b"2", 30.0)) == (b"1", large, b"2")
    folder = Path(one(b"folder", 30.0).decode())
    worker = int((folder / "left").read_text())
    one.close()
    two.close()
    wait_until(lambda: not alive(worker))
    isolation._server.cache_clear()  # as at the end of this process
    wait_until(lambda: not folder.exists())


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(5000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("not within 50 s")


def test_relative_paths_are_those_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolated("task_echo").close()
    small_model(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert Path(isolated("task_path")(b"small.onnx", 30.0).decode()) == tmp_path / "small.onnx"


def task_path() -> Callable[[bytes], bytes]:
    return lambda name: str(Path(name.decode()).resolve(strict=True)).encode()


def test_nothing_is_left_of_a_caller_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from attacks.test_hostile_networks import isolated\n"
        "echo = isolated('task_echo')\n"
        "print(echo(b'folder', 30.0).decode(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", program, *sys.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert caller.stdin is not None and caller.stdout is not None
    folder = Path(caller.stdout.readline().decode().strip())
    assert folder.parent == tmp_path and folder.exists()
    worker = int((folder / "left").read_text())
    caller.kill()
    caller.communicate()
    wait_until(lambda: not runs(worker) and not folder.exists())


def test_a_killed_server_is_replaced() -> None:
    import multiprocessing

    assert isolated("task_echo")(b"1", 30.0) == b"1"
    server = int(isolated("task_parent")(b"", 30.0))
    assert server != os.getpid()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not runs(server))
    assert isolated("task_echo")(b"2", 30.0) == b"2"
    assert multiprocessing.active_children() == []


def runs(process: int) -> bool:
    """Whether a process runs: it may have ended and not been waited for."""
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(") ")[2][0] not in "ZX"


def task_parent() -> Callable[[bytes], bytes]:
    """The process that forked the supervisor of this worker."""
    supervisor = os.getppid()
    parent = Path(f"/proc/{supervisor}/stat").read_text().rpartition(") ")[2].split()[1]
    return lambda request: parent.encode()


def test_a_frontend_that_crashes_is_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's task is replaced by one that crashes, as OpenVINO does on some damaged files."""
    from ov_mobilenet.conversion import isolated_reading

    monkeypatch.setattr(isolated_reading, "__name__", __name__)
    network = unpack(tmp_path) / "small.tflite"
    assert main(["convert", "--source", str(network), *CONVERT, "-o", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert f"error: {network}: reading the network crashed: got signal SIGABRT" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_a_network_without_a_checksum_is_read_in_a_child_process_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ov_mobilenet.conversion import isolated_reading
    from ov_mobilenet.conversion.local_network import find_network

    yml = small.describe(unpack(tmp_path) / "small.tflite", framework="tflite", shape=(1, 32, 32, 3), layout="NHWC")
    config = ovm.load_config(yml)
    monkeypatch.setattr(isolated_reading, "__name__", __name__)
    ovm.convert(ovm.SourceFiles(config, tmp_path, {}), tmp_path / "out")  # described with a digest
    unverified = msgspec.structs.replace(
        config, files=tuple(msgspec.structs.replace(file, checksum=None) for file in config.files)
    )
    network = find_network(ovm.SourceFiles(unverified, tmp_path, {}))
    with pytest.raises(ConversionError, match="reading the network crashed: got signal SIGABRT"):
        convert_network(network, tmp_path / "out2")


def test_isolate_and_no_isolate_of_convert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child process always crashes here: only what does not use it succeeds."""
    from ov_mobilenet.conversion import isolated_reading

    monkeypatch.setattr(isolated_reading, "__name__", __name__)
    network = unpack(tmp_path) / "small.tflite"
    command = ["convert", "--source", str(network), *CONVERT, "-o", str(tmp_path / "out")]
    assert main([*command, "--isolate"]) == 1
    assert "reading the network crashed: got signal SIGABRT" in capsys.readouterr().err
    assert main([*command, "--no-isolate"]) == 0
    with pytest.raises(ConversionError, match="reading the network crashed"):
        ovm.describe(network, name="net", preset="torchvision")
    assert ovm.describe(network, name="net", preset="torchvision", isolate=False).draft.description.name == "net"
    yml = small.describe(network, framework="tflite", shape=(1, 32, 32, 3), layout="NHWC")
    assert main(["convert", str(yml), "-o", str(tmp_path / "out2"), "-d", str(tmp_path / "dl")]) == 0
    assert main(["convert", str(yml), "-o", str(tmp_path / "out3"), "-d", str(tmp_path / "dl"), "--isolate"]) == 1
    with pytest.raises(ConversionError, match="reading the network crashed"):
        ovm.convert(yml, tmp_path / "out4", cache_dir=tmp_path / "cache", isolate=True)


def read_once(*arguments: object) -> Callable[[bytes], bytes]:
    os.abort()


read_facts = read_once


def test_an_inspected_network_is_read_in_the_child_process_only(tmp_path: Path) -> None:
    """A file that only crashes the second reader, or the optimisation of its graph, must not reach this process."""
    network = unpack(tmp_path) / "small.tflite"
    program = (
        "import sys\nfrom pathlib import Path\nfrom ov_mobilenet.conversion.inspection import inspect_source\n"
        f"print(inspect_source(Path({str(network)!r})).shape, 'openvino' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "(1, 32, 32, 3) False\n", done.stderr


def test_a_source_network_that_crashes_its_framework_is_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ai_edge_litert")
    from ov_mobilenet.accuracy import isolated_oracle

    monkeypatch.setattr(isolated_oracle, "__name__", __name__)
    network = unpack(tmp_path) / "small.tflite"
    assert main(["convert", "--source", str(network), *CONVERT, "-o", str(tmp_path / "out"), "--verify"]) == 1
    err = capsys.readouterr().err
    assert "small.tflite: running the source network crashed: got signal SIGSEGV" in err
    assert "Traceback" not in err


def oracle_of_bytes(*arguments: object) -> Callable[[bytes], bytes]:
    return lambda request: ctypes.string_at(0)


def test_the_oracle_in_a_child_process_gives_the_same_answers(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from ai_edge_litert.interpreter import Interpreter

    from ov_mobilenet.accuracy.isolated_oracle import isolated_oracle
    from ov_mobilenet.zoo.arguments import plan_conversion

    network = unpack(tmp_path) / "small.tflite"
    config = ovm.load_config(small.describe(network, framework="tflite", shape=(1, 32, 32, 3), layout="NHWC"))
    oracle = isolated_oracle(config, plan_conversion(config), network)
    interpreter = Interpreter(str(network))
    interpreter.allocate_tensors()
    for frame in small.frames(3):
        pixels = (frame[..., ::-1] - np.array(small.MEAN, np.float32)) / np.array(small.SCALE, np.float32)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[None])
        interpreter.invoke()
        expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
        assert np.abs(oracle(frame) - expected).max() < 1e-4


# ONNX


def small_model(folder: Path) -> Any:
    small.write_onnx(folder, batch=1)
    return onnx.load(folder / "small.onnx")


def address_of(content: bytes) -> tuple[Any, str]:
    buffer = ctypes.create_string_buffer(content)
    return buffer, str(ctypes.addressof(buffer))


@pytest.mark.parametrize("hidden", [b"", b"\xbb\x06\xbc\x06"], ids=["plain", "behind a group"])
def test_memory_of_the_process_is_not_read_as_external_data(
    hidden: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = small_model(tmp_path)
    (dense,) = (tensor for tensor in model.graph.initializer if tensor.name == "dense")
    buffer, address = address_of(dense.raw_data)
    for key, value in (("location", "*/_ORT_MEM_ADDR_/*"), ("offset", address), ("length", str(len(buffer) - 1))):
        dense.external_data.add(key=key, value=value)
    dense.ClearField("raw_data")
    dense.data_location = onnx.TensorProto.EXTERNAL
    network = tmp_path / "memory.onnx"
    network.write_bytes(model.SerializeToString() + hidden)
    (tmp_path / "*" / "_ORT_MEM_ADDR_").mkdir(parents=True)
    (tmp_path / "*" / "_ORT_MEM_ADDR_" / "*").write_bytes(b"there is such a file")
    assert main(["convert", "--source", str(network), *CONVERT, "-o", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert ("is a group" if hidden else "not a plain path") in err
    assert not (tmp_path / "out").exists()


def entry(key: bytes, value: bytes) -> bytes:
    return bytes([0x0A, len(key)]) + key + bytes([0x12, len(value)]) + value


def nested(content: bytes, *fields: int) -> bytes:
    """The content in nested length-delimited fields, from the inside out; numbers from 16 take two bytes."""
    for field in fields:
        tag = bytes([field << 3 | 2]) if field < 16 else bytes([(field << 3 | 2) & 0x7F | 0x80, field >> 4])
        content = tag + bytes([len(content)]) + content
    return content


LOCATION = entry(b"location", b"away.bin")
# The way from external_data (13) to the outermost message: each must be found.
PLACES = {
    "initializer": (13, 5, 7),
    "sparse initializer, values": (13, 1, 15, 7),
    "sparse initializer, indices": (13, 2, 15, 7),
    "attribute": (13, 5, 5, 1, 7),
    "attribute, list": (13, 10, 5, 1, 7),
    "sparse attribute": (13, 1, 22, 5, 1, 7),
    "sparse attribute, list": (13, 1, 23, 5, 1, 7),
    "graph in an attribute": (13, 5, 6, 5, 1, 7),
    "graphs in an attribute": (13, 5, 11, 5, 1, 7),
    "function": (13, 5, 5, 7, 25),
    "default of a function": (13, 5, 11, 25),
    "training, initialization": (13, 5, 1, 20),
    "training, algorithm": (13, 5, 2, 20),
}


@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_found_in_every_place(place: str, tmp_path: Path) -> None:
    network = tmp_path / "net.onnx"
    content = nested(LOCATION, *PLACES[place])
    assert b"away.bin" in onnx.ModelProto.FromString(content).SerializeToString()
    for joined in (content, content + nested(b"", 7), nested(b"", 7) + content):
        network.write_bytes(joined)
        with pytest.raises(ConversionError, match=r"does not exist: expected 'away\.bin'"):
            data_files(network)


BROKEN = {
    "group": b"\x0b\x0c",
    "end of a group": b"\x0c",
    "unknown wire type": b"\x0e",
    "field number 0": b"\x02\x00",
    "overlong tag": b"\xba\x80\x00\x00",
    "overlong length": b"\x3a\x80\x00",
    "endless number": b"\x08" + b"\xff" * 12,
    "more than 64 bits": b"\x08" + b"\xff" * 9 + b"\x7f",
    "cut in a tag": b"\xba",
    "cut in a field": b"\x3a\x7f\x00",
    "cut in four bytes": b"\x3d\x00",
    "cut in eight bytes": b"\x39\x00",
    "name that is no UTF-8": nested(entry(b"location", b"\xff\xfe"), 13, 5, 7),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_message_that_parsers_may_read_differently_is_refused(kind: str, tmp_path: Path) -> None:
    small_model(tmp_path)
    network = tmp_path / "small.onnx"
    network.write_bytes(network.read_bytes() + BROKEN[kind])
    with pytest.raises(ConversionError, match=r"small\.onnx: the file is damaged or not an ONNX network"):
        data_files(network)


def test_deeply_nested_graphs_are_refused(tmp_path: Path) -> None:
    content = b""
    for _ in range(30):
        content = onnx.AttributeProto(g=onnx.GraphProto.FromString(content)).SerializeToString()
        content = (
            b"\x0a" + varint(len(content) + len(varint(len(content))) + 1) + b"\x2a" + varint(len(content)) + content
        )
    (tmp_path / "deep.onnx").write_bytes(b"\x3a" + varint(len(content)) + content)
    with pytest.raises(ConversionError, match="nested more than"):
        data_files(tmp_path / "deep.onnx")


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


def with_loop(folder: Path, rounds: int) -> Path:
    model = small_model(folder)
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = model.graph
    graph.node[-1].output[0] = "before"
    ports = [("round", kinds.INT64, []), ("goes_on", kinds.BOOL, []), ("value", kinds.FLOAT, [1, small.CLASSES])]
    results = [("still", kinds.BOOL, []), ("changed", kinds.FLOAT, [1, small.CLASSES])]
    body = helper.make_graph(
        [helper.make_node("Identity", ["goes_on"], ["still"]), helper.make_node("Tanh", ["value"], ["changed"])],
        "body",
        [helper.make_tensor_value_info(*port) for port in ports],
        [helper.make_tensor_value_info(*port) for port in results],
    )
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(rounds, np.int64), "rounds"))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "begins"))
    graph.node.append(helper.make_node("Loop", ["rounds", "begins", "before"], ["scores"], body=body))
    onnx.save(model, folder / "small.onnx")
    return folder / "small.onnx"


def test_a_loop_is_limited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few, endless = with_loop(tmp_path / "few", 3), with_loop(tmp_path / "endless", 2**62)
    assert main(["convert", "--source", str(few), *CONVERT, "-o", str(tmp_path / "out")]) == 0
    assert main(["convert", "--source", str(endless), *CONVERT, "-o", str(tmp_path / "out2"), "--verify"]) == 1
    assert "the network has a loop that takes too long" in capsys.readouterr().err
    assert not (tmp_path / "out2").exists()


def test_tens_of_thousands_of_operations_are_refused_at_once(tmp_path: Path) -> None:
    model = small_model(tmp_path)
    model.graph.node[-1].output[0] = "0"
    model.graph.node.extend(
        onnx.helper.make_node("Identity", [str(number)], [str(number + 1)]) for number in range(50_000)
    )
    model.graph.output[0].name = "50000"
    onnx.save(model, tmp_path / "long.onnx")
    with pytest.raises(ConversionError, match="too many operations: expected at most 20000, got 50005"):
        inspect_source(tmp_path / "long.onnx")


# Names and pickles


@pytest.mark.parametrize("name", ["small.onnx", "small.tflite"])
def test_names_that_are_not_utf_8(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if name == "small.onnx":
        small_model(tmp_path)
    network = unpack(tmp_path) / name
    content = network.read_bytes()
    assert b"data" in content
    network.write_bytes(content.replace(b"data", b"d\xff\xfea"))
    assert main(["convert", "--source", str(network), *CONVERT, "-o", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert f"error: {network}: a name in the network is not valid UTF-8" in err
    assert "Traceback" not in err


def test_a_damaged_legacy_checkpoint(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "net.pth"
    torch.save({"a": torch.ones(4, 3, 3, 3)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    for end in range(len(content) - 200, len(content), 7):
        path.write_bytes(content[:end])
        with pytest.raises(OvMobilenetError, match=r"net\.pth: the checkpoint cannot be loaded"):
            inspect_source(path)
