"""A server whose model is replaced while clients send requests: each gets one right answer."""

from __future__ import annotations

import http.client
import json
import random
import shutil
import threading
from pathlib import Path

from ov_mobilenet import Server, ServerSettings
from soak.material import KnownImage, Material, read_material
from soak.rounds import TOLERANCE, Counts, Mismatch, Round, Workplace

CLIENTS = 3
# So long a new model may take to answer.
RELOAD_S = 120.0


def start(place: Workplace) -> Round:
    """Start the server, which ends with the process."""
    material = read_material(place.material)
    xml = place.folder / "signs.xml"
    install(material.irs[0], xml)
    server = Server(
        {"signs": xml}, ServerSettings(port=0, grpc_port=None), device="CPU", inference_precision="f32"
    )  # fmt: skip
    server.__enter__()
    running = [0]

    def run(rng: random.Random) -> Counts:
        before, running[0] = running[0], 1 - running[0]
        install(material.irs[running[0]], xml)
        return reload_once(server, material, before, rng)

    return run


def install(ir: Path, target: Path) -> None:
    """Put the files of an IR in the place of another, the weights first, each at once."""
    for suffix in (".bin", ".xml"):
        copy = target.with_name(f"new{suffix}")
        shutil.copyfile(ir.with_suffix(suffix), copy)
        copy.replace(target.with_suffix(suffix))


class _Client(threading.Thread):
    """Sends image files over one connection until it is stopped; then one more, which the new model must answer.

    Attributes:
        answered: number of the model that gave each answer.
        error: what went wrong.
    """

    def __init__(self, port: int, images: list[KnownImage], stopping: threading.Event) -> None:
        super().__init__()
        self.answered: list[int] = []
        self.error: BaseException | None = None
        self._port, self._images, self._stopping = port, images, stopping

    def run(self) -> None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            is_last = False
            while not is_last:
                is_last = self._stopping.is_set()
                image = self._images[len(self.answered) % len(self._images)]
                connection.request("POST", "/v1/classify", image.data)
                response = connection.getresponse()
                self.answered.append(_model_of(response.status, response.read(), image))
            connection.close()
        except BaseException as error:  # noqa: BLE001 (raised by the round)
            self.error = error


def _model_of(status: int, body: bytes, image: KnownImage) -> int:
    """The model that gave this answer. Raises: Mismatch, if it is that of neither."""
    if status == 200:
        best = json.loads(body)["predictions"][0]
        for number, answer in enumerate((image.answer, image.answer[::-1])):
            at = answer[best["class_id"]]
            if abs(best["probability"] - at) <= TOLERANCE and at >= answer.max() - 2 * TOLERANCE:
                return number
    raise Mismatch(
        f"the answer for {image.path.name}", expected=f"class {int(image.answer.argmax())}, or the same from the end",
        got=f"{status} {body[:300]!r}",
    )  # fmt: skip


def reload_once(server: Server, material: Material, before: int, rng: random.Random) -> Counts:
    """Reload under load. Raises: Mismatch."""
    stopping = threading.Event()
    clients = [_Client(server.port, rng.sample(material.images, 10), stopping) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    server.reload()
    new = 1 - before
    try:
        waiter = threading.Event()
        for _ in range(int(RELOAD_S / 0.01)):
            if any(new in client.answered for client in clients) or any(client.error for client in clients):
                break
            waiter.wait(0.01)
    finally:
        stopping.set()
        for client in clients:
            client.join()
    for client in clients:
        if client.error is not None:
            raise client.error
        if client.answered != sorted(client.answered, key=lambda number: number == new) or client.answered[-1] != new:
            raise Mismatch("the models that answered one client", expected=f"{before}, then {new}", got=client.answered)
    answers = sum(len(client.answered) for client in clients)
    return Counts(answers, answers, 0)
