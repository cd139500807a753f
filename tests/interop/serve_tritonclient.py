"""Ask a server with tritonclient: JSON on stdin, JSON on stdout.

Runs in an environment with `tritonclient[http,grpc]`, not in that of the tests. Read are `{"http": HOST:PORT, "grpc":
HOST:PORT, "model": NAME, "requests": {NAME: REQUEST}, "bulk": {NAME: [REQUEST]}}`; every request is sent by four
clients: HTTP and gRPC, each synchronous and with asyncio. Answered is `{CLIENT: {"documents": {...}, "requests": {NAME:
OUTCOME}, "bulk": {NAME: [OUTCOME]}}}`. An outcome is what the client returned, with the values of tensors as
hexadecimal text of little-endian bytes, or the status and the message of its exception.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import queue
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

CLIENTS = {
    "http": tritonclient.http, "http.aio": tritonclient.http.aio,
    "grpc": tritonclient.grpc, "grpc.aio": tritonclient.grpc.aio,
}  # fmt: skip
CONCURRENT = 8


def tensor_of(request: dict[str, Any]) -> Any:
    """The array of a request: an .npy file, the bytes of files, or their base64 text."""
    if "npy" in request:
        return np.load(request["npy"])
    elements: list[Any] = list(request.get("texts", ()))
    elements += [Path(file).read_bytes() for file in request.get("files", ())]
    return np.array(elements, dtype=np.object_).reshape(request.get("bytes_shape", [-1]))


def call_of(request: dict[str, Any], default_model: str, module: Any) -> dict[str, Any]:
    """The arguments of `infer`."""
    http = "http" in module.__name__
    array = tensor_of(request)
    given = module.InferInput(request.get("input", "input"), list(array.shape), request["datatype"])
    if http:
        given.set_data_from_numpy(array, binary_data=request.get("binary_input", True))
    else:
        given.set_data_from_numpy(array)
    if "shape" in request:  # what does not fit the data; the client checks only before
        given.set_shape(request["shape"])
    call: dict[str, Any] = {"model_name": request.get("model", default_model), "inputs": [given]}
    for name in ("model_version", "request_id", "timeout", "parameters"):
        if name in request:
            call[name] = request[name]
    for name in ("request_compression_algorithm", "response_compression_algorithm"):
        if http and name in request:
            call[name] = request[name]
    if "output" in request:
        options: dict[str, Any] = {"class_count": request.get("classes", 0)}
        if http:
            options["binary_data"] = request.get("binary_output", True)
        call["outputs"] = [module.InferRequestedOutput(request["output"], **options)]
    return call


def described(result: Any) -> dict[str, Any]:
    """What a client returned."""
    response = result.get_response()
    if not isinstance(response, dict):
        response = result.get_response(as_json=True)
    outputs = {}
    for output in response["outputs"]:
        values = result.as_numpy(output["name"])
        outputs[output["name"]] = {
            "datatype": output["datatype"], "shape": list(values.shape),
            "announced_shape": [int(size) for size in output["shape"]],
            "has_json_data": "data" in output,
        }  # fmt: skip
        if values.dtype == np.object_:
            texts = [one.decode() if isinstance(one, bytes) else one for one in values.reshape(-1)]
            outputs[output["name"]]["texts"] = texts
        else:
            outputs[output["name"]]["hex"] = (
                np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes().hex()
            )
    return {
        "model_name": response.get("model_name"), "model_version": response.get("model_version"),
        "id": response.get("id", ""), "outputs": outputs,
    }  # fmt: skip


async def outcome_of(act: Callable[[], Any]) -> dict[str, Any]:
    """What a call returns, or the error that it raises."""
    try:
        returned = act()
        return described(await returned if inspect.isawaitable(returned) else returned)
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    except Exception as error:  # noqa: BLE001  (as a closed connection: the tests of this request report it)
        return {"exception": f"{type(error).__name__}: {error}"}


async def documents_of(client: Any, model: str, module: Any) -> dict[str, Any]:
    """What a client tells about the server and the model."""
    documents = {}
    as_json = {"as_json": True} if "grpc" in module.__name__ else {}
    calls: dict[str, Callable[[], Any]] = {
        "live": client.is_server_live,
        "ready": client.is_server_ready,
        "model_ready": lambda: client.is_model_ready(model),
        "version_ready": lambda: client.is_model_ready(model, "1"),
        "unknown_ready": lambda: client.is_model_ready("no such model"),
        "server": lambda: client.get_server_metadata(**as_json),
        "model": lambda: client.get_model_metadata(model, **as_json),
        "version": lambda: client.get_model_metadata(model, "1", **as_json),
        "unknown": lambda: client.get_model_metadata("no such model", **as_json),
        "unknown_version": lambda: client.get_model_metadata(model, "2", **as_json),
        "config": lambda: client.get_model_config(model, **as_json),
        "statistics": lambda: client.get_inference_statistics(model, **as_json),
        "all_statistics": lambda: client.get_inference_statistics(**as_json),
        "index": lambda: client.get_model_repository_index(**as_json),
        "load": lambda: client.load_model(model),
        "unload": lambda: client.unload_model(model),
    }
    for name, act in calls.items():
        try:
            returned = act()
            documents[name] = await returned if inspect.isawaitable(returned) else returned
        except InferenceServerException as error:
            documents[name] = {"status": error.status(), "message": error.message()}
    return documents


async def bulk_of(client: Any, name: str, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outcomes of requests that are under way at the same time."""
    if name == "http":
        pending = [client.async_infer(**call) for call in calls]
        return [await outcome_of(one.get_result) for one in pending]
    if name == "grpc":
        ended: queue.SimpleQueue[tuple[int, Any, Any]] = queue.SimpleQueue()
        for index, call in enumerate(calls):
            client.async_infer(callback=lambda result, error, index=index: ended.put((index, result, error)), **call)
        outcomes: list[dict[str, Any]] = [{}] * len(calls)
        for _ in calls:
            index, result, error = ended.get(timeout=60)
            outcomes[index] = (
                described(result) if error is None else {"status": error.status(), "message": error.message()}
            )
        return outcomes
    return list(await asyncio.gather(*(outcome_of(partial(client.infer, **call)) for call in calls)))


async def ask(given: dict[str, Any], name: str) -> dict[str, Any]:
    """Everything that one client answers."""
    module = CLIENTS[name]
    if name == "http":
        client = module.InferenceServerClient(given["http"], concurrency=CONCURRENT)
    elif name == "http.aio":
        client = module.InferenceServerClient(given["http"], conn_limit=CONCURRENT)
    else:
        client = module.InferenceServerClient(given["grpc"])
    try:
        answered = {
            "documents": await documents_of(client, given["model"], module),
            "requests": {
                key: await outcome_of(partial(client.infer, **call_of(request, given["model"], module)))
                for key, request in given["requests"].items()
            },
            "bulk": {
                key: await bulk_of(client, name, [call_of(one, given["model"], module) for one in requests])
                for key, requests in given["bulk"].items()
            },
        }  # fmt: skip
    finally:
        closed = client.close()
        if inspect.isawaitable(closed):
            await closed
    return answered


async def main() -> None:
    """Answer everything with all four clients."""
    given = json.load(sys.stdin)
    print(json.dumps({name: await ask(given, name) for name in CLIENTS}))


if __name__ == "__main__":
    asyncio.run(main())
