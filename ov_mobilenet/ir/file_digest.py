"""The digest that the last line of an `.xml` holds: of the `.bin` and of the lines above.

It is a comment and not part of `rt_info`, because OpenVINO and NNCF keep `rt_info` when they save a changed model: it
would then refuse models that were changed on purpose. A comment is not kept. Without the line nothing is checked.
"""

from __future__ import annotations

import hashlib
import re

_LINE = re.compile(rb"<!-- ov-mobilenet: sha256 ([0-9a-f]{64}) of the \.bin [^<>]*-->\s*\Z")
_LONGEST_LINE = 400


def with_digest(xml: bytes, weights: bytes) -> bytes:
    """The text of an `.xml` with the line at its end."""
    body = xml if xml.endswith(b"\n") else xml + b"\n"
    note = "of the .bin and the lines above; delete this line after editing the file"
    return body + f"<!-- ov-mobilenet: sha256 {_digest(body, weights)} {note} -->\n".encode()


def matches(xml: bytes, weights: bytes) -> bool | None:
    """Whether an `.xml` and a `.bin` are as they were written together; None for an `.xml` without the line."""
    line = _LINE.search(xml, max(len(xml) - _LONGEST_LINE, 0))
    return None if line is None else _digest(xml[: line.start()], weights) == line[1].decode()


def content_digest(xml: bytes, weights: bytes) -> str:
    """SHA-256 of both files, in hexadecimal; with the line, the digest in it, which must have been checked."""
    line = _LINE.search(xml, max(len(xml) - _LONGEST_LINE, 0))
    return _digest(xml, weights) if line is None else line[1].decode()


def _digest(body: bytes, weights: bytes) -> str:
    digest = hashlib.sha256(weights)
    digest.update(body.replace(b"\r\n", b"\n"))  # git and editors may change line ends
    return digest.hexdigest()
