"""Valid image files that Pillow and OpenCV read and do not write, with the pixels that were drawn."""

from __future__ import annotations

import struct
import zlib
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Drawn = tuple[bytes, Pixels]  # a file, and uint8 (H, W, 3) RGB


def noise(rng: Random, *shape: int, most: int = 256) -> NDArray[np.int64]:
    return np.random.default_rng(rng.getrandbits(32)).integers(0, most, shape)


def grey(values: NDArray[np.integer[Any]]) -> Pixels:
    return np.repeat(values.astype(np.uint8)[:, :, None], 3, axis=2)


def packed(indices: NDArray[np.int64], bits: int) -> list[bytes]:
    """Each row with `bits` bits a value, the first in the highest bits."""
    shifts = np.arange(bits - 1, -1, -1)
    return [np.packbits((row[:, None] >> shifts & 1).astype(np.uint8).ravel()).tobytes() for row in indices]


def bmp(header: bytes, palette: bytes, body: bytes) -> bytes:
    start = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + header + palette + body


def bmp_header(width: int, height: int, bits: int, compression: int, size: int, colours: int = 0) -> bytes:
    return struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, size, 2835, 2835, colours, colours)


def indexed_bmp(rng: Random, height: int, width: int) -> Drawn:
    """1, 4 or 8 bits a pixel, from the bottom or from the top."""
    bits = rng.choice((1, 4, 8))
    colours = noise(rng, 1 << bits, 3)
    indices = noise(rng, height, width, most=1 << bits)
    rows = [row + bytes(-len(row) % 4) for row in packed(indices, bits)]
    top_down = rng.random() < 0.5
    body = b"".join(rows if top_down else rows[::-1])
    header = bmp_header(width, -height if top_down else height, bits, 0, len(body), 1 << bits)
    palette = b"".join(struct.pack("4B", blue, green, red, 0) for red, green, blue in colours)
    return bmp(header, palette, body), colours.astype(np.uint8)[indices]


def run_length_bmp(rng: Random, height: int, width: int) -> Drawn:
    """Runs and literal bytes, 8 or 4 bits a pixel."""
    bits = rng.choice((8, 4))
    colours = noise(rng, 1 << bits, 3)
    indices = np.repeat(noise(rng, height, -(-width // 5), most=1 << bits), 5, axis=1)[:, :width]
    body = b""
    for row in indices[::-1].tolist():
        at = 0
        while at < width:
            if width - at >= 3 and rng.random() < 0.4:  # literal: at least three, padded to 16 bits
                count = rng.randrange(3, min(width - at, 250) + 1)
                values = row[at : at + count]
                data = bytes(values) if bits == 8 else packed(np.array([values]), 4)[0]
                body += bytes((0, count)) + data + bytes(len(data) % 2)
            else:
                count = 1
                while at + count < width and row[at + count] == row[at] and count < 255:
                    count += 1
                body += bytes((count, row[at] if bits == 8 else row[at] * 17))
            at += count
        body += b"\0\0"
    body += b"\0\1"
    header = bmp_header(width, height, bits, 1 if bits == 8 else 2, len(body), 1 << bits)
    palette = b"".join(struct.pack("4B", blue, green, red, 0) for red, green, blue in colours)
    return bmp(header, palette, body), colours.astype(np.uint8)[indices]


def bit_field_bmp(rng: Random, height: int, width: int) -> Drawn:
    """32 bits a pixel, with masks for the channels."""
    pixels = noise(rng, height, width, 3)
    shifts = rng.choice(((16, 8, 0), (24, 16, 8)))
    values = sum((pixels[:, :, channel] << shift for channel, shift in enumerate(shifts)), np.zeros(1, np.int64))
    body = values[::-1].astype("<u4").tobytes()
    masks = struct.pack("<3I", *(0xFF << shift for shift in shifts))
    return bmp(bmp_header(width, height, 32, 3, len(body)), masks, body), pixels.astype(np.uint8)


def old_bmp(rng: Random, height: int, width: int) -> Drawn:
    """The header of OS/2, 24 bits a pixel."""
    pixels = noise(rng, height, width, 3).astype(np.uint8)
    rows = [row[:, ::-1].tobytes() for row in pixels[::-1]]
    body = b"".join(row + bytes(-len(row) % 4) for row in rows)
    return bmp(struct.pack("<IHHHH", 12, width, height, 1, 24), b"", body), pixels


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


# First column and row, and distances, of the seven passes of an interlaced PNG.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(rng: Random, height: int, width: int) -> Drawn:
    """Any type of colour and depth, interlaced or not, in one or several IDAT chunks, with chunks that nobody needs."""
    kind, bits = rng.choice(
        ((0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (6, 8),
         (6, 16))
    )  # fmt: skip
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    values = noise(rng, height, width, channels, most=1 << bits)
    colours = noise(rng, 1 << bits, 3)

    def rows(part: NDArray[np.int64]) -> bytes:
        flat = part.reshape(len(part), -1)
        texts = [row.astype(">u2").tobytes() for row in flat] if bits == 16 else packed(flat, bits)
        return b"".join(b"\0" + text for text in texts)

    interlaced = rng.random() < 0.5
    if interlaced:
        shares = [values[y::down, x::right] for x, y, right, down in PASSES]
        raw = b"".join(rows(share) for share in shares if share.size)
    else:
        raw = rows(values)
    compressed = zlib.compress(raw, rng.choice((0, 1, 9)))
    step = rng.choice((len(compressed), max(1, len(compressed) // 4)))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced))
    data += rng.choice((b"", chunk(b"tEXt", b"Title\0an image"), chunk(b"gAMA", struct.pack(">I", 45455))))
    data += chunk(b"PLTE", colours.astype(np.uint8).tobytes()) if kind == 3 else b""
    for start in range(0, len(compressed), step):
        data += chunk(b"IDAT", compressed[start : start + step])
    data += rng.choice((b"", chunk(b"tEXt", b"Comment\0behind the pixels"))) + chunk(b"IEND", b"")
    if kind == 3:
        return data, colours.astype(np.uint8)[values[:, :, 0]]
    shown = values >> 8 if bits == 16 else values * (255 // ((1 << bits) - 1))
    return data, grey(shown[:, :, 0]) if channels < 3 else shown[:, :, :3].astype(np.uint8)


def tiff(rng: Random, height: int, width: int) -> Drawn:
    """Tiles or strips, either order of bytes, channels together or apart, plain or deflated, with a predictor."""
    order = rng.choice("<>")
    channels, deflated = rng.choice((1, 3)), rng.random() < 0.5
    values = noise(rng, height, width, channels).astype(np.uint8)
    apart = channels == 3 and rng.random() < 0.4
    planes = [values[:, :, channel : channel + 1] for channel in range(3)] if apart else [values]
    side = 16 * rng.randrange(1, 4)
    per_strip = rng.randrange(1, height + 1)
    tiled, predicted = rng.random() < 0.6, deflated and rng.random() < 0.5
    blocks = []
    for plane in planes:
        if tiled:
            whole = np.pad(plane, ((0, -height % side), (0, -width % side), (0, 0)))
            blocks += [
                whole[y : y + side, x : x + side]
                for y in range(0, whole.shape[0], side)
                for x in range(0, whole.shape[1], side)
            ]
        else:
            blocks += [plane[y : y + per_strip] for y in range(0, height, per_strip)]
    if predicted:
        blocks = [np.concatenate([each[:, :1], np.diff(each, axis=1)], axis=1) for each in blocks]
    texts = [zlib.compress(each.tobytes()) if deflated else each.tobytes() for each in blocks]
    starts, body = [], b""
    for text in texts:
        starts.append(8 + len(body))
        body += text + bytes(len(text) % 2)
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("I", [width]), 257: ("I", [height]), 258: ("H", [8] * channels), 259: ("H", [8 if deflated else 1]),
        262: ("H", [2 if channels == 3 else 1]), 277: ("H", [channels]), 284: ("H", [2 if apart else 1]),
        317: ("H", [2 if predicted else 1]),
    }  # fmt: skip
    sizes = [len(text) for text in texts]
    if tiled:
        tags |= {322: ("I", [side]), 323: ("I", [side]), 324: ("I", starts), 325: ("I", sizes)}
    else:
        tags |= {273: ("I", starts), 278: ("I", [per_strip]), 279: ("I", sizes)}
    entries, more, after = b"", b"", 8 + len(body) + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        content = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
        entries += struct.pack(f"{order}HHI", tag, 3 if kind == "H" else 4, len(numbers))
        if len(content) > 4:
            entries += struct.pack(f"{order}I", after + len(more))
            more += content + bytes(len(content) % 2)
        else:
            entries += content.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(body))
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + more
    return head + body + directory, grey(values[:, :, 0]) if channels == 1 else values


def pnm(rng: Random, height: int, width: int) -> Drawn:
    """P1 to P6, with comments and any white space between the numbers."""
    kind = rng.randrange(1, 7)
    channels = 3 if kind in (3, 6) else 1
    values = noise(rng, height, width, channels, most=2 if kind in (1, 4) else 256)

    def space() -> bytes:
        return rng.choice((b" ", b"\n", b"\t", b"  \r\n", b"\n# a comment\n"))

    data = b"P%d" % kind + space() + b"%d" % width + space() + b"%d" % height
    data += b"" if kind in (1, 4) else space() + b"255"
    if kind > 3:
        data += b"\n" + (b"".join(packed(values[:, :, 0], 1)) if kind == 4 else values.astype(np.uint8).tobytes())
    else:
        data += b"\n" + b"".join(b"%d" % value + rng.choice((b" ", b"\n", b"\t")) for value in values.ravel().tolist())
    shown = (1 - values) * 255 if kind in (1, 4) else values
    return data, grey(shown[:, :, 0]) if channels == 1 else shown.astype(np.uint8)


WRITERS = (indexed_bmp, run_length_bmp, bit_field_bmp, old_bmp, png, png, tiff, tiff, pnm)
