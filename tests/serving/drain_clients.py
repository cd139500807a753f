"""Clients of a server that ends: every request is counted by what became of it. Sockets only, no client library."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from dataclasses import dataclass, field

# What may become of a request: answered, or not sent, because there was no connection or the server had closed it.
ANSWERED, REFUSED, LOST, WRONG = "answered", "refused", "lost", "wrong"


@dataclass
class Outcomes:
    """Counts of outcomes, and the first errors.

    Attributes:
        enough: set when some requests have been answered.
    """

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, outcome: str, error: BaseException | str = "", *, enough: int = 40) -> None:
        """Count a request."""
        with self.lock:
            self.counts[outcome] += 1
            if outcome in (LOST, WRONG):
                self.errors.append(repr(error))
            if self.counts[ANSWERED] >= enough:
                self.enough.set()


def send_until_refused(port: int, image: bytes, expected: bytes, outcomes: Outcomes, *, keep_alive: bool) -> None:
    """Classify one image again and again, until the server accepts no more connections.

    Args:
        expected: part of every right answer.
        keep_alive: send the requests over one connection as long as the server allows it.
    """
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.connect()
        except ConnectionRefusedError:
            outcomes.add(REFUSED)
            return
        except OSError as error:  # established by neither side
            outcomes.add(REFUSED if isinstance(error, TimeoutError) else LOST, error)
            return
        try:
            is_open = True
            while is_open:
                connection.request(
                    "POST", "/v1/classify", image, {} if keep_alive else {"Connection": "close"}
                )  # fmt: skip
                response = connection.getresponse()
                body = response.read()
                is_right = response.status == 200 and expected in body
                outcomes.add(ANSWERED if is_right else WRONG, f"{response.status} {body[:200]!r}")
                is_open = not response.will_close
        except (OSError, http.client.HTTPException) as error:
            outcomes.add(LOST, error)
            return
        finally:
            connection.close()


def call_until_unavailable(address: str, image: bytes, expected: bytes, outcomes: Outcomes) -> None:
    """Like `send_until_refused`, over gRPC: a call that begins when the server ends is refused with UNAVAILABLE.

    Args:
        expected: the end of every right answer of the classification extension.
    """
    import numpy as np
    import tritonclient.grpc as triton

    tensor = triton.InferInput("input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([image], np.object_))
    output = triton.InferRequestedOutput("logits", class_count=1)
    with triton.InferenceServerClient(address) as client:
        while True:
            try:
                answer = client.infer("signs", [tensor], outputs=[output]).as_numpy("logits")
            except triton.InferenceServerException as error:
                is_refused = str(error.status()) == "StatusCode.UNAVAILABLE"
                outcomes.add(REFUSED if is_refused else LOST, str(error))
                return
            is_right = answer is not None and bytes(answer[0, 0]).endswith(expected)
            outcomes.add(ANSWERED if is_right else WRONG, repr(answer))
