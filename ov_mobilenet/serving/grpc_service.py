"""The gRPC service `inference.GRPCInferenceService`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from ov_mobilenet.serving.grpc_messages import read_infer_request, write_infer_response
from ov_mobilenet.serving.inference import answer_inference
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.serving.model_repository import ModelRepository
    from ov_mobilenet.serving.observation import Observe
    from ov_mobilenet.serving.settings import ServerSettings


class InferenceService(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Answers the calls of the service."""

    def __init__(self, repository: ModelRepository, settings: ServerSettings) -> None:
        self._repository = repository
        self._settings = settings

    async def ServerLive(self, request: Any, context: Any) -> Any:
        """Whether the process runs."""
        return service_pb2.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Any) -> Any:
        """Whether all models are ready."""
        return service_pb2.ServerReadyResponse(ready=self._repository.is_ready)

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        """The outputs of a model."""
        try:
            answer = await answer_inference(read_infer_request(request), self._repository, self._settings)
        except RequestError as error:
            await context.abort(grpc.StatusCode[error.grpc_code], str(error))
        return write_infer_response(answer)


async def start_grpc(repository: ModelRepository, settings: ServerSettings, observe: Observe) -> tuple[Any, int]:
    """A running gRPC server and its port."""
    import grpc.aio

    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", settings.max_body_bytes), ("grpc.so_reuseport", 0)]
    )
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(InferenceService(repository, settings), server)
    port = server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
    await server.start()
    return server, port
