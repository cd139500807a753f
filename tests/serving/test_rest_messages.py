"""Bodies of requests, written by hand, and of responses, read without our code."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ov_mobilenet.serving.protocol.input_images import images_of
from ov_mobilenet.serving.protocol.messages import InferAnswer, InferMessage, OutputTensor, RequestedOutput
from ov_mobilenet.serving.request_errors import RequestError
from ov_mobilenet.serving.rest import rest_messages
from ov_mobilenet.serving.rest.rest_messages import read_infer_message, write_infer_answer

PIXEL = b'{"inputs":[{"name":"x","shape":[1,1,1,3],"datatype":"UINT8","data":[1,2,3]}]}'
BINARY = b'{"inputs":[{"name":"x","shape":[1,1,1,3],"datatype":"UINT8","parameters":{"binary_data_size":3}}]}'


def read(body: bytes, header_length: str | None = None) -> InferMessage:
    return read_infer_message("m", "1", body, header_length, max_images=64)


def images(message: InferMessage) -> list[Any]:
    return images_of(message.inputs[0], max_images=64, max_pixels=1 << 30)


def body_of(data: str, shape: str = "[1,1,1,3]", datatype: str = "UINT8", name: str = "x") -> bytes:
    return f'{{"inputs":[{{"name":"{name}","shape":{shape},"datatype":"{datatype}","data":{data}}}]}}'.encode()


def with_keys(keys: str) -> bytes:
    return PIXEL[:-1] + b"," + keys.encode() + b"}"


def pixels(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("datatype", ["UINT8", "FP32"])
@pytest.mark.parametrize("shape", [(1, 2, 3, 3), (2, 3, 2, 2), (1, 1, 1, 3), (3, 41, 97, 3)])
def test_numbers_in_json(
    shape: tuple[int, ...], datatype: str, nested: bool, indent: int | None, separators: tuple[str, str]
) -> None:
    """The largest is converted in several parts."""
    sent = pixels(*shape)
    data: Any = (sent if datatype == "UINT8" else sent.astype(float)).tolist() if nested else sent.reshape(-1).tolist()
    tensor = {"name": "x", "shape": shape, "datatype": datatype, "data": data}
    body = json.dumps({"inputs": [tensor], "later": {"data": [9]}}, separators=separators, indent=indent)
    expected = sent if shape[3] == 3 else sent.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(images(read(body.encode())), expected)


@pytest.mark.parametrize("keys", ['"data":[1,2,3],"name":"x"', '"name":"x","data" \n:\t[ 1 , 2\n,3 ]'])
@pytest.mark.parametrize("before", ["", '"parameters":{"data":[7,8]},', '"id":"\\"data\\":[5]",', '"é":[[4]],'])
def test_the_data_are_found_wherever_they_are(before: str, keys: str) -> None:
    body = f' {{{before}"inputs":[{{{keys},"shape":[1,1,1,3],"datatype":"UINT8"}}],"z":{{"data":[0]}}}} '
    (frame,) = images(read(body.encode()))
    assert frame.tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize(
    ("shape", "data"),
    [("[2]", '["aGk=","AA=="]'), ("[2,1]", '[["aGk="],["AA=="]]'), ("[2,1]", ' [ "aGk=" , "AA==" ]')],
)
def test_files_in_json_are_base64(shape: str, data: str) -> None:
    assert images(read(body_of(data, shape, "BYTES"))) == [base64.b64decode("aGk="), b"\0"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (PIXEL, InferMessage("m", (), "1")),
        (with_keys('"id":"7 é\\n"'), InferMessage("m", (), "1", id="7 é\n")),
        (with_keys('"id":null,"parameters":null,"outputs":null'), InferMessage("m", (), "1")),
        (with_keys('"outputs":[]'), InferMessage("m", (), "1")),
        (with_keys('"new":{"a":[1,{"b":null}]},"priority":3'), InferMessage("m", (), "1")),
        (with_keys('"parameters":{"timeout":2500000,"sequence_id":0}'), InferMessage("m", (), "1", timeout_s=2.5)),
        (with_keys('"parameters":{"timeout":0}'), InferMessage("m", (), "1")),
        (with_keys('"parameters":{"binary_data_output":true}'), InferMessage("m", (), "1", binary_output=True)),
        (
            with_keys('"outputs":[{"name":"o"},{"name":"p","parameters":{"classification":3,"binary_data":true}}]'),
            InferMessage("m", (), "1", outputs=(RequestedOutput("o"), RequestedOutput("p", 3, True))),
        ),
        (
            with_keys(
                '"parameters":{"binary_data_output":true},'
                '"outputs":[{"name":"o"},{"name":"p","parameters":{"binary_data":false}}]'
            ),
            InferMessage(
                "m", (), "1", outputs=(RequestedOutput("o", 0, True), RequestedOutput("p")), binary_output=True
            ),
        ),
    ],
)
def test_keys_of_a_request(body: bytes, expected: InferMessage) -> None:
    found = read(body)
    assert InferMessage(found.model, (), found.version, found.id, found.outputs, found.timeout_s, found.binary_output) \
        == expected  # fmt: skip


def test_binary_tensors() -> None:
    sent = pixels(2, 3, 5, 3)
    head = BINARY.replace(b"[1,1,1,3]", b"[2,3,5,3]").replace(b":3}", b":90}")
    np.testing.assert_array_equal(images(read(head + sent.tobytes(), str(len(head)))), sent)
    floats = head.replace(b"UINT8", b"FP32").replace(b":90}", b":360}")
    body = floats + struct.pack("<90f", *sent.reshape(-1).tolist())
    np.testing.assert_array_equal(images(read(body, str(len(floats)))), sent)
    files = BINARY.replace(b"[1,1,1,3]", b"[2]").replace(b"UINT8", b"BYTES").replace(b":3}", b":13}")
    body = files + b"\x02\0\0\0hi\x03\0\0\0you"
    assert images(read(body, str(len(files)))) == [b"hi", b"you"]


def test_a_length_of_0_makes_the_body_an_image_file() -> None:
    message = read(b"\xff\xd8 not JSON", "0")
    assert images(message) == [b"\xff\xd8 not JSON"] and message.binary_output


# (body, the header Inference-Header-Content-Length, words of the message)
INVALID: list[tuple[bytes, str | None, tuple[str, ...]]] = [
    *((body, None, ("JSON",)) for body in (b"", b" ", b"{", b"{]}", PIXEL[:-1], PIXEL + b"x", b"\xff\xfe{\0}\0", b"'")),
    *((body, None, ("Expected `object`",)) for body in (b"[]", b"null", b"3", b'"x"', b"[" + PIXEL + b"]")),
    (b"{}", None, ("inputs",)),
    (b'{"inputs":null}', None, ("inputs",)),
    (b'{"inputs":{}}', None, ("inputs", "array")),
    (b'{"inputs":[]}', None, ("inputs", "length 1")),
    (b'{"inputs":[3]}', None, ("inputs", "object")),
    (PIXEL[:-2] + b"," + PIXEL[11:], None, ("inputs", "length 1")),
    (PIXEL.replace(b'"name":"x",', b""), None, ("name",)),
    (PIXEL.replace(b'"x"', b"3"), None, ("name", "str")),
    (PIXEL.replace(b'"shape":[1,1,1,3],', b""), None, ("shape",)),
    (PIXEL.replace(b'"datatype":"UINT8",', b""), None, ("datatype",)),
    (PIXEL.replace(b',"data":[1,2,3]', b""), None, ('"x"', "missing", "binary_data_size")),
    (PIXEL.replace(b"[1,2,3]", b"null"), None, ('"x"', "missing")),
    *((body_of(data), None, ('"x"', "UINT8")) for data in (
        "[300,1,2]", "[-1,1,2]", "[1.5,1,2]", "[1.0,1,2]", "[1e1,1,2]", "[true,1,2]", '["1",1,2]', "[null,1,2]",
        "[" + "9" * 5000 + ",1,2]", "[1,2]", "[1,2,3,4]", "[]", "[18446744073709551617,1,2]",
    )),
    *((body_of(data), None, ('"x"', "array")) for data in ("3", '"AQID"', "true")),
    *((body_of(data), None, ("JSON",)) for data in (
        "[1,2,3", "[1,2,3,]", "[,1,2,3]", "[01,2,3]", "[1 2,3]", "[NaN,1,2]", "[1,2,Infinity]", "[+1,2,3]", "[1;2;3]",
        "[[[1[,2,3]]]]", "[[[[1,2]3]]]", "[1,2,3]]", "[0x1,2,3]", "[1_0,2,3]", "[1.,2,3]", "[--1,2,3]", "[1,2,3}",
    )),
    *((body_of(data), None, ('"x"', "nested")) for data in (
        "[[1,2,3]]", "[[[[1],[2],[3]]]]", "[[[[1,2,3]]],[]]", "[[[[1,2],3]]]", "[[[[],[1,2,3]]]]", "[1,[2],3]",
    )),
    # Python 3.14 refuses what does not fit on the stack, 50,000 levels and more; older versions 1,000 to 10,000 levels.
    (body_of("[" * 100_000), None, ("JSON",)),
    (body_of("[" * 5_000 + "]" * 5_000), None, ("nested",)),
    (body_of("[" * 60_000 + "]" * 60_000), None, ("nested",)),
    (with_keys('"z":' + "[" * 9_000), None, ("JSON",)),
    (with_keys('"z":' + '{"a":' * 9_000), None, ("JSON",)),
    (body_of("[1e400,1,2]", datatype="FP32"), None, ('"x"', "FP32", "range")),
    (body_of("[" + "9" * 5000 + ",1,2]", datatype="FP32"), None, ('"x"', "FP32", "range")),
    (body_of("[NaN,1,2]", datatype="FP32"), None, ("JSON",)),
    (body_of("[1,true,2]", datatype="FP32"), None, ('"x"', "FP32", "bool", "element 1")),
    (body_of("[1,2]", datatype="FP32"), None, ('"x"', "FP32", "expected 3, got 2")),
    (body_of("[[[[1.5,2]]],3]", datatype="FP32"), None, ('"x"', "nested")),
    (body_of('["a-k"]', "[1]", "BYTES"), None, ('"x"', "expected image files as base64 text")),
    (body_of('["aGk"]', "[1]", "BYTES"), None, ('"x"', "base64")),
    (body_of('["aGk=","aGk="]', "[1]", "BYTES"), None, ('"x"', "expected 1, got 2")),
    (body_of('[["aGk="]]', "[1]", "BYTES"), None, ('"x"',)),
    (body_of('[["aGk=","aGk="]]', "[1,1]", "BYTES"), None, ('"x"',)),
    (body_of("[1]", "[1]", "BYTES"), None, ('"x"',)),
    *((body_of("[1,2,3]", shape), None, ("shape",)) for shape in (
        "[1,-1,1,3]", "[-1,1,1,3]", "[1,0,1,3]", "[]", "[3]", "[1,1,3]", "[1,1,1,1,3]", "[1,1,1,4]", "[1,4,1,1]",
        "[1,1,1,3.0]", "[true,1,1,3]", '"x"', "null", "{}", "[[1,1,1,3]]", "[" + "9" * 400 + ",1,1,3]",
        "[1,1,1,-9223372036854775808]",
    )),
    (body_of("[1,2,3]", "[9223372036854775807,9223372036854775807,9223372036854775807,3]"), None, ('"x"', "too many")),
    (body_of("[1,2,3]", "[64,9223372036854775807,9223372036854775807,3]"), None, ('"x"',)),
    (body_of("[1,2,3]", "[1,99999,99999,3]"), None, ('"x"', "elements")),
    (body_of("[1,2,3]", "[65,1,1,3]"), None, ('"x"', "too many images", "at most 64, got 65")),
    *((body_of("[1,2,3]", datatype=name), None, ('"x"', "datatype", "UINT8, FP32, BYTES")) for name in (
        "INT64", "FP64", "uint8", "",
    )),
    (PIXEL[:-3] + b',"data":[1,2,3]}]}', None, ("twice", '"data"')),
    (with_keys('"id":"1","id":"2"'), None, ("twice", '"id"')),
    (with_keys('"z":{"a":1,"a":1}'), None, ("twice", '"a"')),
    (with_keys('"z":{"a":1,"\\u0061":1}'), None, ("twice", '"a"')),
    (PIXEL.replace(b'"x"', b'"\xff"'), None, ("utf-8",)),
    (with_keys('"z":""').replace(b'""', b'"\xed\xa0\x80"'), None, ("utf-8",)),
    (with_keys('"id":"\\ud800"'), None, ("JSON",)),
    (with_keys('"id":3'), None, ("id", "str")),
    (with_keys('"z":"' + "a" * 70_000 + '"'), None, ("too long", "65536")),
    *((with_keys(f'"parameters":{{"timeout":{value}}}'), None, ("timeout",)) for value in (
        "-1", "true", "1.5", '"1"', "9" * 30, "[]",
    )),
    (with_keys('"parameters":[]'), None, ("parameters",)),
    (with_keys('"parameters":{"binary_data_output":1}'), None, ("binary_data_output",)),
    *((with_keys(f'"outputs":{value}'), None, ("outputs",)) for value in (
        "{}", '"o"', "[3]", "[{}]", '[{"name":3}]', '[{"name":"o","parameters":3}]',
        '[{"name":"o","parameters":{"binary_data":1}}]',
    )),
    *((with_keys(f'"outputs":[{{"name":"o","parameters":{{"classification":{value}}}}}]'), None, ("classification",))
        for value in ("-1", "0", "1.5", "true", '"3"', "9" * 30)),
    (with_keys('"outputs":[{"name":"o","parameters":{"shared_memory_region":"r"}}]'), None, ('"o"', "shared memory")),
    (BINARY.replace(b'"binary_data_size":3', b'"shared_memory_region":"r"'), None, ('"x"', "shared memory")),
    (BINARY + b"abc", None, ("JSON",)),
    (BINARY, None, ('"x"', "expected binary_data_size, 3, got 0", "Inference-Header-Content-Length")),
    (BINARY + b"ab", str(len(BINARY)), ('"x"', "3", "got 2")),
    (BINARY + b"abcd", str(len(BINARY)), ('"x"', "3", "got 4")),
    (PIXEL + b"abc", str(len(PIXEL)), ('"x"', "got 3")),
    (BINARY.replace(b"}}]", b'},"data":[1,2,3]}]') + b"abc", str(len(BINARY) + 15), ('"x"', "twice")),
    *((BINARY.replace(b":3}", f":{size}}}".encode()) + b"abc", str(len(BINARY) - 1 + len(size)), ("binary_data_size",))
        for size in ("-3", "3.0", "true", '"3"', "9" * 30)),
    *((BINARY + b"abc", length, ("Inference-Header-Content-Length",)) for length in (
        "", "-1", "+99", "x", "1e1", " 9", "9 ", "0x9", "1_0", "٣", "²", "102", "1000000", "9" * 5000,
    )),
    (BINARY + b"abc", "1", ("JSON",)),
    (BINARY + b"abc", str(len(BINARY) - 1), ("JSON",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "header_length", "words"), INVALID, ids=[f"{n}-{'-'.join(row[2])[:30]}" for n, row in enumerate(INVALID)]
)
def test_invalid_requests(body: bytes, header_length: str | None, words: tuple[str, ...]) -> None:
    with pytest.raises(RequestError) as raised:
        images(read(body, header_length))
    message = str(raised.value)
    assert raised.value.http_status == 400 and raised.value.grpc_code == "INVALID_ARGUMENT"
    assert all(word in message for word in words), message
    assert len(message) < 400 and message.isprintable()


def test_a_zero_at_the_left_is_refused_wherever_it_is() -> None:
    """The text is converted in parts of 65,536 characters; no part hides its first number."""
    numbers = ["11"] * 60_000
    for index in [0, 1, 2, *range(21_800, 21_900), 59_999]:
        changed = [*numbers]
        changed[index] = "011"
        with pytest.raises(RequestError, match="JSON"):
            read(body_of(f"[{','.join(changed)}]", "[1,100,200,3]"))


@pytest.mark.parametrize("index", [0, 21_844, 21_845, 21_846, 59_999])
@pytest.mark.parametrize("value", ["256", "-1", "true"])
def test_the_wrong_element_is_named(index: int, value: str) -> None:
    numbers = ["11"] * 60_000
    numbers[index] = value
    with pytest.raises(RequestError, match=rf"element {index}\b"):
        read(body_of(f"[{','.join(numbers)}]", "[1,100,200,3]"))


@pytest.mark.parametrize("body", [
    body_of("[" + "0," * 500_000 + "0.5]", "[1,1,1,3]", "FP32"),
    body_of("[" + "7 ," * 1_000_000 + "1]", "[1,1,1,3]"),
    body_of("[" + '"AA==",' * 300_000 + '"AA=="]', "[3]", "BYTES"),
    PIXEL.replace(b"[1,1,1,3]", b"[" + b"1," * 1_000_000 + b"3]"),
    b'{"inputs":[' + b'{"name":"","shape":[],"datatype":""},' * 60_000 + b"{}]}",
    with_keys('"outputs":[' + '{"name":""},' * 200_000 + '{"name":""}]'),
    with_keys('"z":[' + "{}," * 700_000 + "{}]"),
])  # fmt: skip
def test_a_request_does_not_grow_in_memory(body: bytes) -> None:
    """As objects of Python, these bodies of 1 to 4 MB would take 10 to 60 MB."""
    tracemalloc.start()
    try:
        with pytest.raises(RequestError):
            read(body)
        assert tracemalloc.get_traced_memory()[1] < 8e6 + 3 * len(body)
    finally:
        tracemalloc.stop()


def test_large_bodies_do_not_hold_up_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read and written in another thread; a small body, and a large one of binary data, are not."""
    threads: list[bool] = []

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            threads.append(threading.current_thread() is threading.main_thread())
            return function(*arguments)

        return noted

    for name in ("split_data", "write_infer_answer"):
        monkeypatch.setattr(rest_messages, name, noting(getattr(rest_messages, name)))
    sent = pixels(1, 200, 200, 3)
    large = body_of(json.dumps(sent.tolist()), "[1,200,200,3]")
    head = BINARY.replace(b"[1,1,1,3]", b"[1,200,200,3]").replace(b":3}", b":120000}")
    values = np.random.default_rng(1).random((64, 1000), dtype=np.float32)

    async def main() -> None:
        for body, length in ((PIXEL, None), (large, None), (head + sent.tobytes(), str(len(head)))):
            message = await rest_messages.receive_infer_message("m", "", body, length, max_images=1)
            assert body is PIXEL or np.array_equal(images(message), sent)
        for output in (OutputTensor("o", "FP32", values[:1]), OutputTensor("o", "FP32", values)):
            body, _ = await rest_messages.send_infer_answer(answer(output))
            found = np.array(json.loads(body)["outputs"][0]["data"], np.float32)
            np.testing.assert_array_equal(found, output.values.reshape(-1))

    asyncio.run(main())
    assert threads == [True, False, True, True, False]


def test_json_that_is_too_long_to_be_parsed_beside_other_requests() -> None:
    with pytest.raises(RequestError, match="at most 16777216 bytes, got .* binary tensor data") as raised:
        read(PIXEL + b" " * (16 << 20))
    assert raised.value.http_status == 413
    with pytest.raises(RequestError, match="too many values"):
        read(with_keys('"z":[' + "{}," * 140_000 + "{}]"))


def answer(*outputs: OutputTensor, answer_id: str = "") -> InferAnswer:
    return InferAnswer("m", "1", answer_id, outputs)


def test_numbers_of_a_response_are_short_and_exact() -> None:
    """Random bits give numbers of all magnitudes, also denormal ones."""
    bits = np.random.default_rng(3).integers(0, 2**32, 3000, dtype=np.uint32).view(np.float32)
    plain = np.random.default_rng(4).random(3000, dtype=np.float32)
    special = np.array([0, -0.0, 1, 0.1, 0.25, 1e-45, 1.17549435e-38, 3.4028235e38, 1e-5, 16777216, 0.3], np.float32)
    values = np.concatenate([bits[np.isfinite(bits)], plain, special])[None]
    body, header_length = write_infer_answer(answer(OutputTensor("o", "FP32", values)))
    document = json.loads(body)
    assert header_length is None and document["outputs"][0]["shape"] == [1, values.size]
    found = document["outputs"][0]["data"]
    np.testing.assert_array_equal(np.array(found, np.float32).view(np.uint32), values[0].view(np.uint32))
    assert [repr(number) for number in found] == [repr(float(str(value))) for value in values[0]]


def test_a_response_in_json() -> None:
    texts = np.array([[b"0.5:1:stop", '0.25:0:Ü "x"'.encode()]], np.object_)
    body, header_length = write_infer_answer(
        answer(
            OutputTensor("o", "FP32", np.array([[0.5, 0.1]], np.float32)), OutputTensor("c", "BYTES", texts),
            answer_id="é\n",
        )
    )  # fmt: skip
    assert header_length is None
    assert json.loads(body) == {
        "model_name": "m", "model_version": "1", "id": "é\n",
        "outputs": [
            {"name": "o", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 0.1]},
            {"name": "c", "datatype": "BYTES", "shape": [1, 2], "data": ["0.5:1:stop", '0.25:0:Ü "x"']},
        ],
    }  # fmt: skip


def test_a_response_with_binary_tensors() -> None:
    values = np.array([[0.5, 0.1], [1, 0]], np.float32)
    texts = np.array([[b"0.5:1:stop", b""]], np.object_)
    body, header_length = write_infer_answer(
        answer(
            OutputTensor("o", "FP32", values, True), OutputTensor("p", "FP32", values),
            OutputTensor("c", "BYTES", texts, True),
        )
    )  # fmt: skip
    assert header_length is not None
    document = json.loads(body[:header_length])
    assert document == {
        "model_name": "m", "model_version": "1",
        "outputs": [
            {"name": "o", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": 16}},
            {"name": "p", "datatype": "FP32", "shape": [2, 2], "data": [0.5, 0.1, 1.0, 0.0]},
            {"name": "c", "datatype": "BYTES", "shape": [1, 2], "parameters": {"binary_data_size": 18}},
        ],
    }  # fmt: skip
    assert body[header_length:] == struct.pack("<4f", 0.5, 0.1, 1, 0) + b"\x0a\0\0\x000.5:1:stop\0\0\0\0"
