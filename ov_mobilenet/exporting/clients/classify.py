"""Send image files to a model server and print the most probable classes.

pip install "tritonclient[http,grpc]" numpy

python classify.py MODEL IMAGE…            over HTTP, 127.0.0.1:8000
python classify.py MODEL IMAGE… --grpc     over gRPC, 127.0.0.1:9000
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Read the command line, send each image in a request of its own, and print five classes each."""
    parser = argparse.ArgumentParser(description="Classify image files with a model server.")
    parser.add_argument("model")
    parser.add_argument("images", nargs="+", type=Path, metavar="image")
    parser.add_argument("--grpc", action="store_true", help="use gRPC instead of HTTP")
    parser.add_argument("--url", help="HOST:PORT (default: 127.0.0.1:8000, with --grpc 127.0.0.1:9000)")
    options = parser.parse_args()
    labels = class_names(options.model)
    client, protocol = connect(options.url, grpc=options.grpc)
    name = input_name(client, options.model)
    for image in options.images:
        probabilities = classify(client, protocol, options.model, name, image)
        print(image)
        for class_id in np.argsort(-probabilities)[:5]:
            label = labels[class_id] if labels else f"class {class_id}"
            print(f"  {probabilities[class_id]:.4f}  {class_id:4}  {label}")


def connect(url: str | None, *, grpc: bool) -> tuple[Any, Any]:
    """The client, and the module with the classes of its requests."""
    if grpc:
        import tritonclient.grpc

        return tritonclient.grpc.InferenceServerClient(url or "127.0.0.1:9000"), tritonclient.grpc
    import tritonclient.http

    return tritonclient.http.InferenceServerClient(url or "127.0.0.1:8000"), tritonclient.http


def input_name(client: Any, model: str) -> str:
    """The name of the model's only input."""
    metadata = client.get_model_metadata(model)
    inputs = metadata["inputs"] if isinstance(metadata, dict) else metadata.inputs
    return str(inputs[0]["name"] if isinstance(inputs[0], dict) else inputs[0].name)


def classify(client: Any, protocol: Any, model: str, name: str, image: Path) -> np.ndarray:
    """The probabilities of the classes: float32 (classes,). The server decodes and resizes the file."""
    tensor = protocol.InferInput(name, [1], "BYTES")
    tensor.set_data_from_numpy(np.array([image.read_bytes()], dtype=np.object_))
    result = client.infer(model, [tensor])
    response = result.get_response()
    output = response["outputs"][0]["name"] if isinstance(response, dict) else response.outputs[0].name
    return np.asarray(result.as_numpy(output)[0])


def class_names(model: str) -> list[str]:
    """The class names, if they are in `labels/MODEL.txt` of the export."""
    path = Path(__file__).resolve().parent.parent / "labels" / f"{model}.txt"
    return path.read_text("utf-8").splitlines() if path.is_file() else []


if __name__ == "__main__":
    main()
