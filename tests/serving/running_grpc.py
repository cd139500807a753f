"""A gRPC server alone, in a thread, with the records of its requests and with a queue that a test can hold."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from tritonclient.grpc import InferenceServerClient, service_pb2

from ov_mobilenet import Classifier
from ov_mobilenet.serving.grpc_transport.grpc_service import GrpcServer, start_grpc
from ov_mobilenet.serving.models.model_repository import ModelRepository
from ov_mobilenet.serving.monitoring.observation import RequestRecord
from ov_mobilenet.serving.monitoring.statistics import Statistics
from ov_mobilenet.serving.settings import ServerSettings

MODEL = "signs"
INFER = "/inference.GRPCInferenceService/ModelInfer"
WAIT_S = 30


class RunningGrpc:
    """A server, and the loop that it runs in."""

    def __init__(self, classifier: Classifier, settings: ServerSettings) -> None:
        self.settings = settings
        self.repository = ModelRepository({MODEL: lambda: classifier}, settings)
        self.statistics = Statistics([MODEL])
        self.loop = asyncio.new_event_loop()
        self.records: list[RequestRecord] = []
        self._recorded = threading.Condition()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server: GrpcServer
        try:
            self.server, self.port = self.run(self._start())
        except BaseException:
            self._end_loop()
            raise
        self.address = f"127.0.0.1:{self.port}"

    def run(self, work: Any) -> Any:
        """Run a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT_S)

    def call(self, function: Any, *arguments: Any) -> Any:
        """Call a function in the server's loop."""

        async def work() -> Any:
            return function(*arguments)

        return self.run(work())

    async def _start(self) -> tuple[GrpcServer, int]:
        await self.repository.load_all()
        try:
            return await start_grpc(self.repository, self.settings, statistics=self.statistics, observe=self._observe)
        except BaseException:
            await self.repository.close()
            raise

    def _observe(self, record: RequestRecord) -> None:
        self.statistics.observe(record)
        with self._recorded:
            self.records.append(record)
            self._recorded.notify_all()

    def wait_for_record(self, count: int = 1) -> RequestRecord:
        """The newest record, once there are so many."""
        with self._recorded:
            assert self._recorded.wait_for(lambda: len(self.records) >= count, WAIT_S)
            return self.records[-1]

    def stop(self) -> None:
        """End the server and the loop."""

        async def end() -> None:
            await self.server.stop(0)
            await self.repository.close()

        try:
            self.run(end())
        finally:
            self._end_loop()

    def _end_loop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@contextmanager
def running_grpc(classifier: Classifier, **settings: Any) -> Iterator[RunningGrpc]:
    """A server with these `ServerSettings`."""
    server = RunningGrpc(classifier, ServerSettings(**{"grpc_port": 0} | settings))
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def triton_client(server: RunningGrpc) -> Iterator[InferenceServerClient]:
    """A client of tritonclient."""
    client = InferenceServerClient(server.address)
    try:
        yield client
    finally:
        client.close()


class HeldQueue:
    """Stands in for `AsyncQueue.infer`: no image is answered, and the test learns what happens to it."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.cancelled = threading.Event()
        self.timeouts: list[float | None] = []

    async def infer(self, image: Any, *, timeout_s: float | None = None, **options: Any) -> Any:
        self.timeouts.append(timeout_s)
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


def infer_request(frames: Any, **fields: Any) -> Any:
    """A `ModelInferRequest` with the raw bytes of frames."""
    request = service_pb2.ModelInferRequest(model_name=MODEL, **fields)
    request.inputs.add(name="input", datatype="UINT8", shape=frames.shape)
    request.raw_input_contents.append(frames.tobytes())
    return request


def refusal(call: Any, *arguments: Any, **options: Any) -> tuple[grpc.StatusCode, str]:
    """Code and message of a call that must fail."""
    try:
        call(*arguments, **options)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("the call succeeded")


def expected_probabilities(classifier: Classifier, frame: Any) -> Any:
    """The answer to one frame of any size, as (1, classes)."""
    return classifier.probabilities(classifier.prepare(frame[0]).frame[None])
