"""Ask a server with kserve's clients: JSON on stdin, JSON on stdout.

Runs in an environment with kserve, not in that of the tests. Read are `{"http": URL, "grpc": HOST:PORT, "model": NAME,
"requests": {NAME: REQUEST}}`; answered is `{"rest": {...}, "grpc": {...}}`, with the values of tensors as hexadecimal
text of little-endian bytes, or the status of an exception.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig


def request_of(given: dict[str, Any], model: str) -> InferRequest:
    """A request of kserve. `binary` decides both directions."""
    if "npy" in given:
        array = np.load(given["npy"])
    else:
        elements = [Path(file).read_bytes() for file in given.get("files", ())] or given["texts"]
        array = np.array(elements, dtype=np.object_)
    tensor = InferInput(given.get("input", "input"), list(array.shape), given["datatype"])
    if given.get("as_list"):
        tensor.data = array.reshape(-1).tolist()
    else:
        tensor.set_data_from_numpy(array, binary_data=given["binary"])
    return InferRequest(
        model_name=given.get("model", model), infer_inputs=[tensor], request_id=given.get("id"),
        parameters={"binary_data_output": given["binary"]},
    )  # fmt: skip


async def outcome_of(answer: Awaitable[Any]) -> dict[str, Any]:
    """What a client returned, or the status of its exception."""
    try:
        response = await answer
    except httpx.HTTPStatusError as error:
        return {"status": str(error.response.status_code), "message": error.response.text}
    except grpc.RpcError as error:
        return {"status": error.code().name, "message": error.details()}
    outputs = {
        output.name: {
            "datatype": output.datatype, "shape": list(output.shape),
            "hex": np.asarray(output.as_numpy(), "<f4").tobytes().hex(),
        }
        for output in response.outputs
    }  # fmt: skip
    return {"model_name": response.model_name, "id": response.id, "outputs": outputs}


async def main() -> None:
    """Answer everything over both transports."""
    given = json.load(sys.stdin)
    url, model = given["http"], given["model"]
    rest = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    rpc = InferenceGRPCClient(given["grpc"], retries=2)  # 2 is the least that gRPC accepts
    answered: dict[str, Any] = {
        "rest": {
            "live": await rest.is_server_live(url), "ready": await rest.is_server_ready(url),
            "model_ready": await rest.is_model_ready(url, model),
            "unknown_ready": await rest.is_model_ready(url, "no such model"),
        },
        "grpc": {
            "live": await rpc.is_server_live(), "ready": await rpc.is_server_ready(),
            "model_ready": await rpc.is_model_ready(model),
        },
    }  # fmt: skip
    for name, request in given["requests"].items():
        called = request.get("model", model)
        if request.get("rest", True):
            answered["rest"][name] = await outcome_of(rest.infer(url, request_of(request, model), model_name=called))
        if request.get("grpc", True):
            answered["grpc"][name] = await outcome_of(rpc.infer(request_of(request, model)))
    await rest.close()
    await rpc.close()
    print(json.dumps(answered))


if __name__ == "__main__":
    asyncio.run(main())
