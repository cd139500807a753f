"""Changes of the XML of an IR, which stays well-formed, mostly: other values, types, sizes, elements and layers."""

from __future__ import annotations

import random
import re

NUMBERS = (
    b"", b"-1", b"0", b"1", b"7", b"64", b"4294967295", b"9223372036854775807", b"18446744073709551615", b"1000000000",
    b"nan", b"1e39", b"0,0", b"-1,-1", b"1,1,1", b"?", b"1..", b"..3", b"1..2,3,?,4",
)  # fmt: skip
WORDS = (
    b"Convolution", b"GroupConvolution", b"MatMul", b"Reshape", b"Transpose", b"Concat", b"StridedSlice", b"Squeeze",
    b"FakeQuantize", b"ReduceMean", b"SoftMax", b"Add", b"Const", b"Parameter", b"Result", b"MaxPool", b"Interpolate",
    b"Pad", b"LSTMSequence", b"TensorIterator", b"Loop", b"If", b"TopK", b"Broadcast", b"Assign", b"ReadValue",
    b"DetectionOutput", b"PriorBox", b"Proposal", b"ConvolutionBackpropData",
)  # fmt: skip


def rewritten(text: bytes, rng: random.Random) -> bytes:
    """Change up to three values, types, sizes, elements or layers of the XML of an IR; it stays well-formed, mostly."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        attributes = [found for found in re.finditer(rb'([\w-]+)="([^"]*)"', text) if found[1] not in _KEPT]
        kind = rng.choice(("value", "value", "same name", "type", "size", "element"))
        if kind == "type":
            found = rng.choice([each for each in attributes if each[1] == b"type"])
            span, value = found.span(2), rng.choice(WORDS)
        elif kind == "size":
            found = rng.choice(list(re.finditer(rb"<dim>([^<]*)</dim>", text)))
            span, value = found.span(1), rng.choice(NUMBERS)
        elif kind == "element":
            found = rng.choice(list(_ELEMENT.finditer(text)))
            span, value = found.span(), found[0] * rng.choice((0, 2))
        else:
            name = rng.choice(sorted({each[1] for each in attributes}))
            alike = [each for each in attributes if each[1] == name]
            found = rng.choice(alike)
            span, value = found.span(2), rng.choice(NUMBERS) if kind == "value" else rng.choice(alike)[2]
        text = text[: span[0]] + value + text[span[1] :]
    return text


_KEPT = (b"name", b"names", b"version", b"encoding")
_ELEMENT = re.compile(rb"[ \t]*<(layer|port|dim|edge|data|input|output)\b[^>]*(/>|>.*?</\1>)\s*", re.S)
