"""kserve's model server: `python -m serving_others.kserve_program IR.xml HTTP_PORT GRPC_PORT`."""

from __future__ import annotations

import sys
from typing import Any

from serving_others.network import INPUT, NAME, OUTPUT, FrameNetwork, arguments

XML, HTTP, GRPC = arguments()
sys.argv[1:] = []  # kserve reads its own options from here when it is imported

from kserve import InferOutput, InferResponse, Model, ModelServer  # noqa: E402


class ServedNetwork(Model):  # type: ignore[misc]
    """The network as kserve calls it."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self._network = FrameNetwork(XML)
        self.ready = True

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """The probabilities of a frame."""
        probabilities = self._network(payload.get_input_by_name(INPUT).as_numpy())
        output = InferOutput(OUTPUT, list(probabilities.shape), "FP32")
        output.set_data_from_numpy(probabilities, binary_data=True)
        return InferResponse(payload.id, NAME, [output], requested_outputs=payload.request_outputs)


if __name__ == "__main__":
    ModelServer(http_port=HTTP, grpc_port=GRPC, enable_grpc=True, workers=1).start([ServedNetwork()])
