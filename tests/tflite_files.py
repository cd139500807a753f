"""Write TFLite files with metadata: a FlatBuffer writer of a few lines, after the format's description."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    value: int | float
    kind: str = "I"


@dataclass(frozen=True)
class At:
    """Something in the bytes behind the new ones, by its position there."""

    position: int


Value = "Number | At | str | bytes | tuple[int, ...] | tuple[float, ...] | Fields | list[Fields | At]"
Fields = Mapping[int, object]


def flatbuffer(root: Fields, identifier: bytes, behind: bytes = b"") -> bytes:
    """A FlatBuffer with this root table: fields by number. `behind` follows it, at a multiple of 16 bytes."""
    out = bytearray(8)
    out[4:8] = identifier
    links: list[tuple[int, int]] = []  # places of offsets to positions in `behind`

    def link(place: int, target: int) -> None:
        struct.pack_into("<I", out, place, target - place)

    def write(value: object) -> int:
        out.extend(bytes(-len(out) % 4))
        if isinstance(value, Mapping):
            return table(value)
        start = len(out)
        if isinstance(value, str | bytes):
            data = value.encode() if isinstance(value, str) else value
            out.extend(struct.pack("<I", len(data)) + data + b"\0")
        elif isinstance(value, tuple):
            kind = "i" if all(isinstance(number, int) for number in value) else "f"
            out.extend(struct.pack(f"<I{len(value)}{kind}", len(value), *value))
        elif isinstance(value, list):
            out.extend(struct.pack("<I", len(value)) + bytes(4 * len(value)))
            for number, item in enumerate(value):
                refer(start + 4 + 4 * number, item)
        else:
            raise TypeError(type(value))
        return start

    def refer(place: int, value: object) -> None:
        if isinstance(value, At):
            links.append((place, value.position))
        else:
            link(place, write(value))

    def table(fields: Fields) -> int:
        count = max(fields, default=-1) + 1
        vtable = len(out)
        entries = [4 + 4 * list(fields).index(field) if field in fields else 0 for field in range(count)]
        out.extend(struct.pack(f"<{2 + count}H", 4 + 2 * count, 4 + 4 * len(fields), *entries))
        out.extend(bytes(-len(out) % 4))
        start = len(out)
        out.extend(struct.pack("<i", start - vtable) + bytes(4 * len(fields)))
        for place, value in zip(range(start + 4, len(out), 4), fields.values(), strict=True):
            if isinstance(value, Number):
                struct.pack_into(f"<{value.kind}", out, place, value.value)
            else:
                refer(place, value)
        return start

    link(0, write(root))
    out.extend(bytes(-len(out) % 16))
    for place, position in links:
        link(place, len(out) + position)
    return bytes(out) + behind


def metadata(
    *,
    mean: tuple[float, ...] | None = (127.5,),
    std: tuple[float, ...] = (127.5,),
    stats: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    colour: int | None = 1,
    labels: tuple[tuple[str, str | None], ...] = (),
) -> bytes:
    """TFLite Metadata of an image classifier; `stats` are minima and maxima, `labels` are file names and locales."""
    image: dict[int, object] = {0: "image"}
    if colour is not None:
        image[3] = {0: Number(2, "B"), 1: {0: Number(colour, "b")}}
    if mean is not None:
        image[4] = [{0: Number(1, "B"), 1: {0: mean, 1: std}}]
    if stats is not None:
        image[5] = {0: stats[1], 1: stats[0]}
    files = [{0: name, 2: Number(2, "b")} | ({3: locale} if locale else {}) for name, locale in labels]
    output: dict[int, object] = {0: "probability"} | ({6: files} if files else {})
    return flatbuffer({0: "classifier", 3: [{2: [image], 3: [output]}]}, b"M001")


def with_metadata(model: bytes, content: bytes, files: Mapping[str, bytes] | None = None) -> bytes:
    """A TFLite file with metadata, and files in an archive behind it. Its old metadata entries are dropped."""
    root = struct.unpack_from("<I", model)[0]
    vtable = root - struct.unpack_from("<i", model, root)[0]

    def vector(field: int) -> int:
        place = root + struct.unpack_from("<H", model, vtable + 4 + 2 * field)[0]
        return int(place + struct.unpack_from("<I", model, place)[0])

    buffers = vector(4)
    count = struct.unpack_from("<I", model, buffers)[0]
    places = range(buffers + 4, buffers + 4 + 4 * count, 4)
    old: list[object] = [At(place + struct.unpack_from("<I", model, place)[0]) for place in places]
    fields: Fields = {
        0: Number(3),
        1: At(vector(1)),
        2: At(vector(2)),
        4: [*old, {0: content}],
        6: [{0: "TFLITE_METADATA", 1: Number(count)}],
    }
    return flatbuffer(fields, b"TFL3", model) + (archive(files) if files else b"")


def archive(files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A ZIP archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return content.getvalue()
