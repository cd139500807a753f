"""MLServer: `python -m serving_others.mlserver_program IR.xml HTTP_PORT GRPC_PORT`."""

from __future__ import annotations

import asyncio
from typing import Any

from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from serving_others.network import NAME, OUTPUT, FrameNetwork, arguments

XML, HTTP, GRPC = arguments()


class ServedNetwork(MLModel):  # type: ignore[misc]
    """The network as MLServer calls it."""

    async def load(self) -> bool:
        """Compile it."""
        self._network = FrameNetwork(XML)
        return True

    async def predict(self, payload: Any) -> Any:
        """The probabilities of a frame."""
        probabilities = self._network(NumpyCodec.decode_input(payload.inputs[0]))
        outputs = [NumpyCodec.encode_output(OUTPUT, probabilities)]
        return InferenceResponse(id=payload.id, model_name=NAME, outputs=outputs)


async def main() -> None:
    """Serve until SIGTERM, without worker processes, which cost more."""
    settings = Settings(
        debug=False, parallel_workers=0, host="127.0.0.1", http_port=HTTP, grpc_port=GRPC, metrics_endpoint=None
    )
    await MLServer(settings).start([ModelSettings(name=NAME, implementation=ServedNetwork)])


if __name__ == "__main__":
    asyncio.run(main())
