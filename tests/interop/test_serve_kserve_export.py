"""What `export kserve` writes, read by kserve's own models, and asked by tritonclient as its README says."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from served_process import CLIENTS, KSERVE, answer_of, python_of, serving

from ov_mobilenet import KserveSettings, export_kserve, find_config, load_classifier
from ov_mobilenet.cli.demo import SAMPLE

pytestmark = pytest.mark.serve

SIGN = find_config(SAMPLE).folder / "samples" / "stop_red_01.jpg"
VARIANTS: dict[str, dict[str, Any]] = {
    "ovms": {},
    "ovms over gRPC on a GPU": {"protocol": "grpc-v2", "device": "GPU", "image": "x:1", "service_account": "reader"},
    "own": {"runtime": "ov-mobilenet", "image": "x:1", "namespace": "vision"},
    "own over gRPC on a GPU": {"runtime": "ov-mobilenet", "image": "x:1", "protocol": "grpc-v2", "device": "GPU"},
    "own without a token": {
        "runtime": "ov-mobilenet", "image": "x:1", "insecure_no_auth": True, "allowed_hosts": ("a.example.com",),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    found = {}
    for name, settings in VARIANTS.items():
        export = export_kserve(
            {"signs": SAMPLE}, tmp_path_factory.mktemp("export") / "out", storage_uri="s3://bucket/models",
            kserve_settings=KserveSettings(**settings),
        )  # fmt: skip
        found[name] = {"kind": "V1beta1InferenceService", "object": yaml.safe_load(export.services[0].yaml.read_text())}
        runtime = export.folder / "kserve/runtime/serving-runtime.yaml"
        if runtime.is_file():
            found[f"runtime of {name}"] = {
                "kind": "V1alpha1ServingRuntime", "object": yaml.safe_load(runtime.read_text()),
            }  # fmt: skip
    return found


@pytest.fixture(scope="module")
def problems(objects: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    """What kserve's models find wrong with each object, and with changed ones."""
    python_of(KSERVE)
    return dict(answer_of(KSERVE, "serve_kserve_objects.py", given={"objects": objects | changed(objects["own"])}))


def changed(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Objects with a mistake each."""
    container = ("spec", "predictor", "containers", 0)
    mistakes: dict[str, tuple[tuple[str | int, ...], object]] = {
        "imagePolicy": ((*container, "imagePolicy"), "Always"),
        "http": ((*container, "readinessProbe", "http"), {}),
        "containerPort": ((*container, "ports", 0, "containerPort"), "8080"),
        "predictors": (("spec", "predictors"), {}),
    }
    found = {}
    for name, (path, value) in mistakes.items():
        document = copy.deepcopy(given["object"])
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        found[name] = {"kind": given["kind"], "object": document}
    return found


def test_kserves_models_know_every_field(objects: dict[str, dict[str, Any]], problems: dict[str, str | None]) -> None:
    assert {name: problems[name] for name in objects} == dict.fromkeys(objects)
    assert len(objects) == len(VARIANTS) + 2


def test_kserves_models_refuse_a_mistake(problems: dict[str, str | None]) -> None:
    """Otherwise the test above would prove nothing."""
    for name in ("imagePolicy", "http", "containerPort", "predictors"):
        assert name in (problems[name] or ""), problems


@pytest.mark.parametrize("protocol", ["v2", "grpc-v2"])
def test_the_program_in_the_readme_asks_the_server(protocol: Any, tmp_path: Path) -> None:
    """Through no ingress, so the Host header reaches the server, which takes any with the token."""
    python = python_of(CLIENTS)
    settings = KserveSettings(runtime="ov-mobilenet", image="x:1", protocol=protocol)
    export = export_kserve({"signs": SAMPLE}, tmp_path / "out", storage_uri="s3://bucket", kserve_settings=settings)
    (program,) = re.findall(
        r"^```python\n(.*?)^```$", (export.folder / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    shutil.copy(SIGN, export.folder / "image.jpg")
    token = export.folder / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o600)
    with serving({"signs": str(export.services[0].folder)}, tmp_path, "--token-file", str(token)) as server:
        environment = {
            "INGRESS": server.http if protocol == "v2" else server.grpc, "SERVICE_HOST": "signs.vision.example.com",
        }  # fmt: skip
        done = subprocess.run(
            [python, "-c", program], cwd=export.folder, env=environment, capture_output=True, text=True, timeout=60
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    best = load_classifier(SAMPLE, device="CPU", inference_precision="f32").classify(SIGN).best
    assert done.stdout.strip() == f"{best.class_id} {best.label}"
