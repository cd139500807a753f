"""Damaged networks: an error or the right answer, and this process lives on."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attacks.fuzz import Attack

from ov_mobilenet.conversion.inspection import inspect_source
from ov_mobilenet.conversion.sources.onnx_data import data_files
from ov_mobilenet.errors import ConversionError, OvMobilenetError

NETWORKS = Path(__file__).resolve().parents[1] / "networks.zip"  # made with tests/tensorflow_networks.py


def unpack(folder: Path) -> Path:
    """`saved`, a SavedModel, and `small.tflite`: the network of `small_networks`."""
    with zipfile.ZipFile(NETWORKS) as archive:
        archive.extractall(folder)
    return folder


def flip(rng: random.Random, path: Path) -> None:
    """Change one byte, sometimes two: mostly one bit, because most other changes are found at once."""
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 1, 2))):
        content[rng.randrange(len(content))] ^= rng.choice((1 << rng.randrange(8), rng.randrange(1, 256)))
    path.write_bytes(content)


def damaged_saved_model(rng: random.Random, folder: Path) -> None:
    """Inspected, or refused with its name; a crash of OpenVINO's frontend ends a child process only."""
    saved = unpack(folder) / "saved"
    flip(rng, saved / rng.choice(["saved_model.pb"] * 8 + ["variables/variables.index"]))
    try:
        assert inspect_source(saved, output="scores").classes >= 2
    except OvMobilenetError as error:
        assert str(saved) in str(error)


def damaged_tflite(rng: random.Random, folder: Path) -> None:
    """LiteRT answers with finite or infinite numbers, or there is an error with the file's name."""
    pytest.importorskip("ai_edge_litert")
    from small_networks import describe

    import ov_mobilenet as ovm
    from ov_mobilenet.accuracy.isolated_oracle import isolated_oracle
    from ov_mobilenet.zoo.arguments import plan_conversion

    network = unpack(folder) / "small.tflite"
    flip(rng, network)
    config = ovm.load_config(describe(network, framework="tflite", shape=(1, 32, 32, 3), layout="NHWC"))
    try:
        oracle = isolated_oracle(config, plan_conversion(config), network)
        assert oracle(np.zeros((32, 32, 3), np.uint8)).dtype == np.float32
    except ConversionError as error:
        assert str(network) in str(error)


def onnx_data_names(message: Any) -> Iterator[str]:
    """The locations of all tensors in a parsed ONNX message, found by protobuf's own reflection."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield from (entry.value for entry in message.external_data if entry.key == "location")
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                yield from onnx_data_names(inner)


def external_data(rng: random.Random, folder: Path) -> None:
    """Whatever the package onnx finds as external data is found here too, or the file is refused."""
    onnx = pytest.importorskip("onnx")
    content = bytearray(with_external_data(onnx, rng))
    for _ in range(rng.randint(0, 2)):
        junk = rng.choice(JUNK)
        if rng.random() < 0.5:
            content += junk
        else:
            position = rng.randrange(len(content))
            content[position : position + rng.randint(0, 2)] = junk[: rng.randint(1, len(junk))]
    network = folder / "net.onnx"
    network.write_bytes(content)
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"data")
    try:
        found = data_files(network)
    except ConversionError as error:
        assert str(network) in str(error)
        return
    try:
        expected = set(onnx_data_names(onnx.ModelProto.FromString(bytes(content))))
    except Exception:  # noqa: BLE001 (onnx cannot read the file at all)
        return
    assert expected <= set(found)


NAMES = ("a.bin", "sub/b.bin", "c.bin", "*/_ORT_MEM_ADDR_/*")
# Groups, endless and overlong numbers, empty and repeated fields of all messages, a field number 0.
JUNK = (
    b"\xbb\x06\xbc\x06", b"\x0b", b"\x0c", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", b"\x80\x00", b"\xff" * 11,
    b"\x00", b"\x3a\x00", b"\x3a\x02\x2a\x00", b"\x08\x08", b"\xba\x80\x00\x00", b"\x3a\x80\x00", b"\x0d\x01",
)  # fmt: skip


def with_external_data(onnx: Any, rng: random.Random) -> bytes:
    """A network with external tensors in some of the places where a tensor can be."""
    helper = onnx.helper

    def tensor() -> Any:
        made = onnx.TensorProto(name="t", data_type=1, dims=[1], data_location=rng.choice([0, 1]))
        for _ in range(rng.choice([0, 1, 1, 2])):
            made.external_data.add(key="location", value=rng.choice(NAMES))
            made.external_data.add(key="offset", value="0")
        return made

    def sparse() -> Any:
        return onnx.SparseTensorProto(values=tensor(), indices=tensor(), dims=[1])

    def graph(depth: int) -> Any:
        nodes = [helper.make_node("Constant", [], ["c"])]
        nodes[0].attribute.add(name="value", type=4, t=tensor())
        nodes[0].attribute.add(name="values", type=9, tensors=[tensor(), tensor()])
        nodes[0].attribute.add(name="sparse", type=11, sparse_tensor=sparse(), sparse_tensors=[sparse()])
        if depth:
            nodes[0].attribute.add(name="graph", type=5, g=graph(depth - 1), graphs=[graph(depth - 1)])
        made = onnx.GraphProto(name="g", node=nodes, initializer=[tensor()])
        made.sparse_initializer.append(sparse())
        return made

    model = onnx.ModelProto(ir_version=8)
    parts: list[Callable[[], Any]] = [
        lambda: model.graph.CopyFrom(graph(rng.randint(0, 2))),
        lambda: model.functions.add(name="f", node=graph(0).node, attribute_proto=graph(0).node[0].attribute),
        lambda: model.training_info.add(initialization=graph(0), algorithm=graph(0)),
    ]
    for part in rng.sample(parts, rng.randint(1, 3)):
        part()
    content: bytes = model.SerializeToString()
    return content + (content if rng.random() < 0.2 else b"")  # parsers join both


ATTACKS = (
    Attack("damaged SavedModel", 600, damaged_saved_model, in_suite=8),
    Attack("damaged TFLite network in LiteRT", 700, damaged_tflite, in_suite=8),
    Attack("external data of ONNX networks", 3000, external_data, in_suite=150),
)
