"""Damaged requests of the Open Inference Protocol: a valid answer or one clear refusal, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import random
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
from attacks.fuzz import Attack
from serving.recording_queue import CLASSES, INPUT, MODEL, OUTPUT, SIDE, RecordingQueue, repository

from ov_mobilenet.serving.protocol.inference import answer_inference
from ov_mobilenet.serving.protocol.messages import InferMessage, InputTensor
from ov_mobilenet.serving.request_errors import RequestError
from ov_mobilenet.serving.rest.json_pixels import parse_pixels
from ov_mobilenet.serving.rest.rest_messages import receive_infer_message, send_infer_answer
from ov_mobilenet.serving.settings import ServerSettings

SETTINGS = ServerSettings(max_images=4, max_pixels=400)
REQUESTS_PER_CASE = 600
# A refusal is one line of a response; nothing of a client's may make it long.
MAX_MESSAGE = 800

VALUES = (
    "0", "-1", "1", "3", "300", "1.5", "-0.0", "1e400", "NaN", "Infinity", "9" * 30, "9" * 5000, "true", "null", '""',
    '"x"', '"\\ud800"', "[]", "{}", "[1,2,3]", "[[]]", "9223372036854775807", "18446744073709551616",
    "-9223372036854775809",
    '"FP32"', '"UINT8"', '"BYTES"', "[1]", "[1,1]", "[4,4,4,3]", "[1,3,4,4]", "[1,4,4,3]", "[99999999,99999999,3,3]",
)  # fmt: skip
WORDS = (
    b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u0000", b" ", b"\n", b"-", b".", b"e", b"0", b"255", b"256",
    b"\xff", b"\0", b"\xed\xa0\x80", b'"data":[1,2,3]', b'"inputs":[]', b'"data":', b"[" * 3000, b"null",
)  # fmt: skip


def whole_request(rng: random.Random) -> tuple[bytes, str | None]:
    """A valid request, and its header `Inference-Header-Content-Length`."""
    datatype, images = rng.choice(("UINT8", "FP32", "BYTES")), rng.randint(1, 3)
    side = rng.choice((SIDE, SIDE, 1, 7))
    count = images * side * side * 3
    shape = [images, 3, side, side] if rng.random() < 0.3 else [images, side, side, 3]
    numbers = [rng.randrange(256) for _ in range(count)]
    files = [rng.randbytes(rng.randint(0, 40)) for _ in range(images)]
    tensor: dict[str, object] = {"name": INPUT, "datatype": datatype}
    tensor["shape"] = shape if datatype != "BYTES" else rng.choice(([images], [images, 1]))
    document: dict[str, object] = {"id": "7", "inputs": [tensor]}
    if rng.random() < 0.5:
        document["parameters"] = {"binary_data_output": rng.random() < 0.5, "timeout": rng.choice((0, 10**9))}
    if rng.random() < 0.5:
        parameters = rng.choice(({}, {"classification": rng.randint(1, 9)}, {"binary_data": True}))
        document["outputs"] = [{"name": OUTPUT, "parameters": parameters}]
    raw: bytes | None = None
    if rng.random() < 0.5:
        raw = bytes(numbers) if datatype == "UINT8" else struct.pack(f"<{count}f", *numbers)
        if datatype == "BYTES":
            raw = b"".join(struct.pack("<I", len(file)) + file for file in files)
        tensor["parameters"] = {"binary_data_size": len(raw)}
    elif datatype == "BYTES":
        tensor["data"] = [base64.b64encode(file).decode() for file in files]
    else:
        tensor["data"] = numbers if rng.random() < 0.5 else nested(numbers, shape)
    separators = rng.choice(((",", ":"), (", ", ": ")))
    head = json.dumps(document, separators=separators, indent=rng.choice((None, None, 1))).encode()
    return (head, None) if raw is None else (head + raw, str(len(head)))


def nested(numbers: list[int], shape: list[int]) -> list[object]:
    values: list[object] = [*numbers]
    for size in reversed(shape[1:]):
        values = [values[start : start + size] for start in range(0, len(values), size)]
    return values


def damaged(rng: random.Random, body: bytes, header_length: str | None) -> tuple[bytes, str | None]:
    """One change of a request."""
    at, end = sorted(rng.randrange(len(body) + 1) for _ in range(2))
    kind = rng.randrange(8)
    if kind == 0:
        return body[:at], header_length
    if kind == 1:
        return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :], header_length
    if kind == 2:
        return body[:at] + rng.choice(WORDS) + body[at:], header_length
    if kind == 3:
        return body[:at] + body[end:], header_length
    if kind == 4:
        return body[:end] + body[at:end] + body[end:], header_length
    if kind == 5:
        lengths = (None, "0", "-1", str(at), str(len(body)), str(len(body) + 1), "9" * 40, "x", "")
        return body, rng.choice(lengths)
    # Another value for a key, with the right length of the JSON again.
    length = len(body) if header_length is None or not header_length.isdigit() else int(header_length)
    try:
        document = json.loads(body[:length])
    except (ValueError, RecursionError):
        return body, header_length
    places = [(document, key) for key in document] if isinstance(document, dict) else []
    for parent, key in [*places]:
        children = parent[key] if isinstance(parent[key], list) else [parent[key]]
        places += [(child, inner) for child in children if isinstance(child, dict) for inner in child]
    if not places:
        return body, header_length
    parent, key = rng.choice(places)
    parent[key] = "@@@"
    head = json.dumps(document).replace('"@@@"', rng.choice(VALUES)).encode("utf-8", "surrogatepass")
    return head + body[length:], None if header_length is None else str(len(head))


def sent_pixels(body: bytes) -> bytes:
    """The pixels or files of a JSON body, as the parser of the standard library reads them."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    def integer(digits: str) -> int:  # `int` refuses very long ones, which may stand in a key that is ignored
        return int(digits[:100])

    tensor = json.loads(body.decode("utf-8"), parse_constant=refuse, parse_int=integer)["inputs"][0]
    data = np.array(tensor["data"])
    assert data.shape in ((data.size,), tuple(tensor["shape"]))
    if tensor["datatype"] == "BYTES":
        return b"".join(base64.b64decode(text, validate=True) for text in data.reshape(-1).tolist())
    frames = np.rint(data.reshape(tensor["shape"])).astype(np.uint8)
    return bytes((frames if frames.shape[3] == 3 else np.moveaxis(frames, 1, 3)).tobytes())


async def outcome(body: bytes, header_length: str | None) -> bool:
    """Whether a request is answered; otherwise it is refused."""
    queue = RecordingQueue()
    try:
        message = await receive_infer_message(MODEL, "", body, header_length, max_images=SETTINGS.max_images)
        answer = await answer_inference(message, repository(queue), SETTINGS)
    except RequestError as error:
        assert error.http_status in (400, 422, 504), error
        assert str(error).isprintable() and len(str(error)) < MAX_MESSAGE, error
        assert not queue.pending
        return False
    if header_length is None:
        assert sent_pixels(body) == b"".join(
            item.image if isinstance(item.image, bytes) else np.asarray(item.image).tobytes()
            for item, _, _ in queue.items
        )
    response, json_bytes = await send_infer_answer(answer)
    document = json.loads(response[:json_bytes])
    behind = len(response) - (len(response) if json_bytes is None else json_bytes)
    assert document["model_name"] == MODEL and document.get("id", "") == message.id
    for output in document["outputs"]:
        images, columns = output["shape"]
        assert images == len(queue.items) <= SETTINGS.max_images and 1 <= columns <= CLASSES
        size = output.get("parameters", {}).get("binary_data_size", 0)
        assert size or len(output["data"]) == images * columns
        behind -= size
    assert behind == 0
    return True


def damaged_bodies(rng: random.Random, folder: Path) -> None:
    """REST bodies with one to four changes."""

    async def all_requests() -> tuple[int, int]:
        answered = 0
        for _ in range(REQUESTS_PER_CASE):
            body, header_length = whole_request(rng)
            assert await outcome(body, header_length), (body, header_length)
            for _ in range(rng.randint(1, 4)):
                body, header_length = damaged(rng, body, header_length)
            answered += await outcome(body, header_length)
        return answered, len(asyncio.all_tasks())

    answered, tasks = asyncio.run(all_requests())
    assert 0 < answered < REQUESTS_PER_CASE / 2
    assert tasks == 1


def random_tensors(rng: random.Random, folder: Path) -> None:
    """Tensors as gRPC hands them over, with random shapes, types and payloads."""

    async def all_requests() -> None:
        for _ in range(REQUESTS_PER_CASE):
            sizes = (1, 1, 2, 3, 3, SIDE, 0, -1, 5, 2**31, 2**62, -(2**63))
            shape = tuple(rng.choice(sizes) for _ in range(rng.choice((0, 1, 2, 3, 4, 4, 4, 4, 5))))
            tensor = InputTensor(
                rng.choice((INPUT, INPUT, INPUT, "", "x" * 5000)),
                rng.choice(("UINT8", "FP32", "BYTES", "INT8", "\x1b" * 300)), shape,
            )  # fmt: skip
            raw = rng.randbytes(rng.choice((0, 1, 3, 12, 36, 48, 144, 192)))
            numbers = [rng.choice((0, 1, 255, 256, -1, 2**40, 1.5, float("nan"), 1e300)) for _ in raw]
            tensor = replace(tensor, raw=raw) if rng.random() < 0.5 else replace(tensor, values=numbers)
            if tensor.datatype == "BYTES" and tensor.raw is None:
                tensor = replace(tensor, values=[raw] * rng.randint(0, 3))
            queue = RecordingQueue()
            try:
                await answer_inference(InferMessage(MODEL, (tensor,)), repository(queue), SETTINGS)
            except RequestError as error:
                assert error.http_status in (400, 422), error
                assert str(error).isprintable() and len(str(error)) < MAX_MESSAGE, error

    asyncio.run(all_requests())


def damaged_arrays(rng: random.Random, folder: Path) -> None:
    """Arrays of pixels, which have a parser of their own: never accepted unless the standard library agrees."""
    for _ in range(REQUESTS_PER_CASE):
        shape = [rng.randint(1, 3) for _ in range(rng.randint(1, 4))]
        numbers = [rng.choice((0, 1, 9, 10, 99, 100, 255)) for _ in range(math.prod(shape))]
        text = json.dumps(nested(numbers, shape) if rng.random() < 0.7 else numbers)
        text = text.replace(" ", rng.choice(("", "", " ", "\n\t")))
        for _ in range(rng.randint(0, 3)):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice("[],,0019 \n-.e") * rng.randint(0, 1) + text[at + rng.randint(0, 1) :]
        pixels = parse_pixels(text.encode(), tuple(shape))
        if pixels is not None:
            data = np.array(json.loads(text))
            assert data.shape in ((data.size,), tuple(shape)) and data.reshape(-1).tolist() == [*pixels], text


ATTACKS = [
    Attack("infer requests: damaged arrays", 20, damaged_arrays),
    Attack("infer requests: damaged bodies", 20, damaged_bodies),
    Attack("infer requests: random tensors", 20, random_tensors),
]
