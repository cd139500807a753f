"""Random damage to the bytes of a file."""

from __future__ import annotations

import random


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def change_bytes(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        changed[rng.randrange(len(changed))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(changed)


def change_the_beginning(data: bytes, rng: random.Random) -> bytes:
    """Headers are where a few bytes decide most."""
    size = min(len(data), 64)
    return change_bytes(data[:size], rng) + data[size:]


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.choice((rng.randbytes(rng.randrange(1, 9)), bytes(rng.randrange(1, 300)))) + data[at:]


def zeros(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data)), rng.randrange(1, 100)
    return data[:at] + bytes(len(data[at : at + size])) + data[at + size :]


def remove(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.randrange(1, 100) :]


def repeat(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data)), rng.randrange(1, 200)
    return data[: at + size] + data[at : at + size] * rng.choice((1, 1, 3, 50)) + data[at + size :]


# What no checksum of a part overlooks, unlike whole parts that are removed or repeated.
IN_PLACE = (flip_bits, flip_bits, change_bytes, change_the_beginning, cut, insert, zeros)
ALL = (*IN_PLACE, remove, repeat)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to three kinds of damage."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(ALL)(data, rng) if data else data
    return data


def spliced(first: bytes, second: bytes, rng: random.Random) -> bytes:
    """The beginning of one file and the end of another."""
    at = rng.randrange(len(first))
    return first[:at] + second[rng.choice((min(at, len(second)), rng.randrange(len(second)))) :]
