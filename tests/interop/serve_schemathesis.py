"""Run schemathesis on an OpenAPI description of the protocol against a server: JSON on stdin, JSON on stdout.

Runs in an environment with schemathesis, not in that of the tests. Read are `{"url": URL, "description": PATH,
"folder": PATH, "examples": NUMBER, "seed": NUMBER, "path": {PARAMETER: [VALUE]}, "input": {PROPERTY: [VALUE]},
"request": BODY, "responses": {STATUS: [PATH]}}`. The description is changed before it is used:

- `${MODEL_NAME}` becomes `{MODEL_NAME}`, and the type `bytes`, which JSON Schema does not have, becomes `string`;
- part of the examples take their path parameters and the properties of an input from the given values, and one has the
  given body;
- `responses` are added to the operations whose path ends so: a JSON object with the text `error`.

Answered is `{"code": EXIT CODE, "output": TEXT, "statuses": {OPERATION: {STATUS: COUNT}}}`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import yaml

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "unsupported_method", "allow_header_conformance",
)  # fmt: skip
ERROR = {"type": "object", "properties": {"error": {"type": "string", "minLength": 1}}, "required": ["error"]}


def described(given: dict[str, Any]) -> dict[str, Any]:
    """The description as it is used."""
    text = Path(given["description"]).read_text(encoding="utf-8").replace("${", "{")
    document: dict[str, Any] = yaml.safe_load(text.replace('"type": "bytes"', '"type": "string"'))
    refused = {"description": "refused", "content": {"application/json": {"schema": ERROR}}}
    for path, operations in document["paths"].items():
        for parameter in operations.get("parameters", ()):
            some = {"enum": given["path"][parameter["name"].lower()]}
            parameter["schema"] = {"anyOf": [some, parameter["schema"]]}
        for method, operation in operations.items():
            if method == "parameters":
                continue
            for status, ends in given["responses"].items():
                if any(path.endswith(end) for end in ends):
                    operation["responses"].setdefault(status, refused)
            if "requestBody" in operation:
                operation["requestBody"]["content"]["application/json"]["example"] = given["request"]
    for name, schema in document["components"]["schemas"].items():
        if name.replace("_", "").lower() == "requestinput":
            for key, values in given["input"].items():
                schema["properties"][key] = {"anyOf": [{"enum": values}, schema["properties"][key]]}
    return document


def statuses_of(cassette: Path) -> dict[str, Counter[str]]:
    """How often each status was answered, by method and path."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for line in cassette.read_text(encoding="utf-8").splitlines():
        for scenario in json.loads(line).values():
            cases = scenario.get("recorder", {}) if isinstance(scenario, dict) else {}
            for interaction in cases.get("interactions", {}).values():
                response = interaction.get("response")
                if response is not None:
                    found[cases["label"]][str(response["status_code"])] += 1
    return found


def main() -> None:
    """Run it once."""
    given = json.load(sys.stdin)
    folder = Path(given["folder"])
    description, cassette = folder / "openapi.json", folder / "events.ndjson"
    description.write_text(json.dumps(described(given)), encoding="utf-8")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run", str(description), "--url", given["url"],
            "--checks", ",".join(CHECKS), "--seed", str(given["seed"]), "--max-examples", str(given["examples"]),
            "--generation-database", "none", "--phases", "examples,coverage,fuzzing", "--no-color",
            "--exclude-path-regex", "(infer_stream|generate|generate_stream)$", "--suppress-health-check", "all",
            "--report", "ndjson", "--report-ndjson-path", str(cassette), "--request-timeout", "30",
        ],
        cwd=folder, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    output = done.stdout[-12_000:] + done.stderr[-2_000:]
    print(json.dumps({"code": done.returncode, "output": output, "statuses": statuses_of(cassette)}))


if __name__ == "__main__":
    main()
