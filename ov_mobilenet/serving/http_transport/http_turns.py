"""`ParsingTurns`: chunked bodies are parsed a slice at a time, so that no client holds up the event loop.

A read can bring 40,000 chunks of one byte, which take a tenth of a second to parse. Each turn parses one slice of one
connection; between two turns the event loop serves all others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal, Protocol

SLICE_BYTES = 4096  # 700 chunks of one byte: 2 ms

Incoming = Literal["head", "body", "chunks"]


class ParsingConnection(Protocol):
    """A connection that parses what it receives."""

    @property
    def incoming(self) -> Incoming:
        """What the next bytes are a part of: a head, a body of known length, or a chunked body."""

    def parse(self, data: bytes) -> None:
        """Parse the next bytes; nothing if the connection does not receive any more."""

    def set_behind(self, behind: bool) -> None:
        """Whether bytes of this connection wait for their turn: it receives no more meanwhile."""


class ParsingTurns:
    """The connections of a server whose bytes wait for their turn."""

    def __init__(self) -> None:
        self._turns: deque[ParsingConnection] = deque()
        self._unparsed: dict[ParsingConnection, bytes] = {}

    def receive(self, connection: ParsingConnection, data: bytes) -> None:
        """Parse what has arrived: at once, except for what follows the first slice of a chunked body."""
        if connection in self._unparsed:  # it was on its way when reading was paused
            self._unparsed[connection] += data
            return
        start = 0
        while start < len(data):
            if start and connection.incoming == "chunks":
                self._wait(connection, data[start:])
                return
            end = len(data) if connection.incoming == "body" else start + SLICE_BYTES
            connection.parse(data[start:end])
            start = end

    def remove(self, connection: ParsingConnection) -> None:
        """Drop the bytes of a connection that is closed."""
        if self._unparsed.pop(connection, None) is not None:
            self._turns.remove(connection)

    def _wait(self, connection: ParsingConnection, data: bytes) -> None:
        self._unparsed[connection] = data
        self._turns.append(connection)
        connection.set_behind(True)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        if not self._turns:
            return
        connection = self._turns[0]
        connection.parse(self._unparsed[connection][:SLICE_BYTES])
        if connection in self._unparsed:  # parsing may close it
            self._turns.popleft()
            rest = self._unparsed.pop(connection)[SLICE_BYTES:]
            if rest:
                self._unparsed[connection] = rest
                self._turns.append(connection)
            else:
                connection.set_behind(False)
        if self._turns:
            asyncio.get_running_loop().call_soon(self._take_turn)
