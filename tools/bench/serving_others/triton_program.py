"""Triton's Python backend by pytriton: `python -m serving_others.triton_program IR.xml HTTP_PORT GRPC_PORT`."""

from __future__ import annotations

import numpy as np
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from serving_others.network import INPUT, NAME, OUTPUT, FrameNetwork, arguments


def main() -> None:
    """Serve until SIGTERM."""
    xml, http, grpc = arguments()
    network = FrameNetwork(xml)

    def infer(requests: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        return [{OUTPUT: network(request[INPUT])} for request in requests]

    config = TritonConfig(http_port=http, grpc_port=grpc, http_address="127.0.0.1", grpc_address="127.0.0.1")
    with Triton(config=config) as triton:
        triton.bind(
            NAME, infer, [Tensor(name=INPUT, dtype=np.uint8, shape=(1, *network.input_shape))],
            [Tensor(name=OUTPUT, dtype=np.float32, shape=(1, network.classes))], config=ModelConfig(batching=False),
        )  # fmt: skip
        triton.serve()


if __name__ == "__main__":
    main()
