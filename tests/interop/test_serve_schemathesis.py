"""schemathesis on OpenAPI descriptions of the protocol against `serve`.

The description is mlserver's, from its wheel, and the official one of kserve/open-inference-protocol
(specification/protocol/open_inference_rest.yaml) if OPEN_INFERENCE_OPENAPI has its path. Neither is part of this
project.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served_process import CLIENTS, ROOT, ServedProcess, answer_of, python_of, serving

from ov_mobilenet.cli.demo import SAMPLE

pytestmark = pytest.mark.serve

EXAMPLES = 50
SEED = 20
INPUT = {"name": "input", "datatype": "UINT8", "shape": [1, 2, 2, 3], "data": list(range(12))}
# What our server answers beyond the descriptions, as {"error": text}.
ANY_MODEL = ("}", "/ready", "/infer")
RESPONSES = {
    "400": ANY_MODEL,
    "404": ANY_MODEL,  # a model or version that is not served
    "405": ("",),  # a method that the path does not have
    "415": ("/infer",),  # not JSON
    "422": ("/infer",),  # BYTES that are not an image file
}
# Of JSON bodies that describe the input of the served model as far as names and types go.
NARROWED = {"name": ["input"], "datatype": ["UINT8", "FP32", "BYTES"], "shape": [[1, 2, 2, 3]]}


def mlserver_description(folder: Path) -> Path:
    wheels = Path(os.environ.get("SERVE_OPENAPI_WHEELS", ROOT / ".venv-serve-clients" / "openapi"))
    found = sorted(wheels.glob("mlserver-*.whl"))
    if not found:
        pytest.skip("needs mlserver's wheel, which make test-serve downloads, in SERVE_OPENAPI_WHEELS")
    with zipfile.ZipFile(found[-1]) as wheel:
        (folder / "mlserver.json").write_bytes(wheel.read("mlserver/rest/openapi/dataplane.json"))
    return folder / "mlserver.json"


def official_description(folder: Path) -> Path:
    if "OPEN_INFERENCE_OPENAPI" not in os.environ:
        pytest.skip("needs the path of open_inference_rest.yaml in OPEN_INFERENCE_OPENAPI")
    return Path(os.environ["OPEN_INFERENCE_OPENAPI"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    python_of(CLIENTS)
    with serving({"signs": SAMPLE}, tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.mark.parametrize("source", ["mlserver", "official"])
def test_every_answer_is_described(source: str, server: ServedProcess, tmp_path: Path) -> None:
    """No 5xx, and statuses, content types and bodies are those of the description or of `RESPONSES`."""
    description = (mlserver_description if source == "mlserver" else official_description)(tmp_path)
    given: dict[str, Any] = {
        "url": server.url, "description": str(description), "folder": str(tmp_path), "examples": EXAMPLES, "seed": SEED,
        "path": {"model_name": ["signs"], "model_version": ["1"]}, "input": NARROWED,
        "request": {"id": "7", "inputs": [INPUT]}, "responses": RESPONSES,
    }  # fmt: skip
    answered = answer_of(CLIENTS, "serve_schemathesis.py", given=given)
    assert answered["code"] == 0, answered["output"]
    # The operations were reached: each was answered, and those of a model were also asked for one that is not served.
    statuses = answered["statuses"]
    assert len(statuses) >= 6
    for operation, counts in statuses.items():
        assert counts.get("200", 0) >= 1, (operation, counts)
        if "odel_name" in operation.lower():
            assert counts.get("404", 0) >= 1, (operation, counts)
        if operation.endswith("/infer"):
            assert counts.get("400", 0) >= 10, (operation, counts)
    assert server.runs
