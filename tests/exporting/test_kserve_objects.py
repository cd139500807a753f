"""The YAML files of `export kserve`: every field known, and every promise of the options in it."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import msgspec
import pytest
import yaml
from exporting.kserve_schema import (
    InferenceService,
    ServingRuntime,
    answering,
    check_knative,
    inference_service_of,
)

from ov_mobilenet import KserveExport, KserveSettings, ServerSettings, export_kserve
from ov_mobilenet.cli.main import cli
from ov_mobilenet.cli.serve_options import ServerFlags

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "mobilenet-v1-0.25-128-signs"
URI = "s3://bucket/models"
OWN: dict[str, Any] = {"runtime": "ov-mobilenet", "image": "registry.example.com/ov-mobilenet-serve:0.2"}
WITHOUT_TOKEN = {**OWN, "insecure_no_auth": True, "allowed_hosts": ("a.example.com", "a-predictor.x.svc")}
RUNTIMES = {"ovms": {}, "own": OWN, "without token": WITHOUT_TOKEN}
# What Kubernetes waits for after SIGTERM, in its default.
GRACE_PERIOD_S = 30


def exported(folder: Path, *, uri: str = URI, **settings: Any) -> KserveExport:
    return export_kserve({"signs": SAMPLE}, folder / "out", storage_uri=uri, kserve_settings=KserveSettings(**settings))


def document_of(export: KserveExport) -> dict[str, Any]:
    (service,) = export.services
    found = yaml.safe_load(service.yaml.read_text())
    assert isinstance(found, dict)
    return found


@cache
def text_of(**settings: Any) -> str:
    """The YAML file with these settings."""
    with TemporaryDirectory() as folder:
        return exported(Path(folder), **settings).services[0].yaml.read_text()


def service_of(**settings: Any) -> InferenceService:
    return inference_service_of(yaml.safe_load(text_of(**settings)))


def server_flags(arguments: list[str], folder: Path) -> tuple[dict[str, Any], ServerSettings]:
    """What our own command line makes of the arguments of the container."""
    token = folder / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o600)
    given = [str(token) if one == "/etc/ov-mobilenet/token" else one for one in arguments]
    command = cli.get_command(click.Context(cli), "serve")
    assert command is not None
    values = command.make_context("serve", given).params
    flags = {name: values[name] for name in ServerFlags.__dataclass_fields__}
    return values, ServerFlags(**flags).settings()


@pytest.mark.parametrize(
    ("runtime", "protocol", "device"),
    [(runtime, *chosen) for runtime in RUNTIMES for chosen in (("v2", "GPU"), ("grpc-v2", "CPU"))],
)
def test_both_deployment_modes_take_every_variant(runtime: str, protocol: str, device: str) -> None:
    settings = {**RUNTIMES[runtime], "protocol": protocol, "device": device}
    text = text_of(namespace="vision", service_account="models.reader", **settings)
    document = yaml.safe_load(text)
    service = inference_service_of(document)
    check_knative(document)
    assert (service.metadata.name, service.metadata.namespace) == ("signs", "vision")
    assert service.spec.predictor.service_account_name == "models.reader"
    (port,) = answering(service.spec.predictor).ports or []
    assert (port.name, port.container_port) == (("http1", 8080) if protocol == "v2" else ("h2c", 9000))
    # Nothing but plain values: no tags, no anchors.
    assert not re.search(r"(^|\s)[&*!]\w", text)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_resources_are_those_of_the_options(runtime: str) -> None:
    given = {"cpu_request": "500m", "cpu_limit": "3", "memory_request": "300Mi", "memory_limit": "2Gi"}
    container = answering(service_of(**RUNTIMES[runtime], **given).spec.predictor)
    assert container.resources is not None
    assert container.resources.requests == {"cpu": "500m", "memory": "300Mi"}
    assert container.resources.limits == {"cpu": "3", "memory": "2Gi"}
    arguments = " ".join(container.args or [])
    assert ('{"INFERENCE_NUM_THREADS": "3"}' if runtime == "ovms" else "--threads 3") in arguments


@pytest.mark.parametrize("runtime", ["ovms", "own"])
@pytest.mark.parametrize(
    "chosen", [{}, {"device": "GPU"}, {"device": "GPU", "gpu_resource": "gpu.intel.com/xe"}], ids=["CPU", "i915", "xe"]
)
def test_a_gpu_is_only_asked_for_on_request(runtime: str, chosen: dict[str, str]) -> None:
    container = answering(service_of(**RUNTIMES[runtime], **chosen).spec.predictor)
    assert container.resources is not None
    device = chosen.get("device", "CPU")
    expected = {chosen.get("gpu_resource", "gpu.intel.com/i915"): "1"} if device == "GPU" else {}
    assert {key: count for key, count in container.resources.limits.items() if "gpu" in key} == expected
    arguments = " ".join(container.args or [])
    assert re.search(rf"--(target_)?device[= ]{device}\b", arguments)
    assert ("THREADS" in arguments.upper()) == (device == "CPU")


def test_the_models_come_from_the_storage() -> None:
    ovms = service_of().spec.predictor
    assert ovms.model is not None
    assert ovms.model.storage_uri == f"{URI}/signs/"
    own = service_of(**OWN).spec.predictor
    assert {one.name: one.value for one in answering(own).env or []} == {
        "STORAGE_URI": f"{URI}/signs/",
        "PROTOCOL": "v2",
    }


def test_openvino_model_server_gets_what_config_json_would_hold() -> None:
    """As `export ovms` writes it, except name and path, which KServe's runtime gives."""
    model = service_of().spec.predictor.model
    assert model is not None
    assert (model.runtime, model.model_format.name, model.protocol_version) == ("kserve-openvino", "openvino", "v2")
    given = dict(argument.removeprefix("--").split("=", 1) for argument in model.args or [])
    assert json.loads(given.pop("plugin_config")) == {"INFERENCE_NUM_THREADS": "2"}
    assert given == {"layout": "NHWC", "batch_size": "1", "target_device": "CPU"}
    assert model.image is None
    assert model.readiness_probe is not None
    assert model.readiness_probe.http_get is not None
    assert model.readiness_probe.http_get.path == "/v2/health/ready"


def test_a_range_of_batch_sizes_becomes_the_shape(tmp_path: Path) -> None:
    export = export_kserve({"signs": SAMPLE}, tmp_path / "out", storage_uri=URI, batch="1:8")
    model = inference_service_of(document_of(export)).spec.predictor.model
    assert model is not None
    assert "--shape=(1:8,128,128,3)" in (model.args or [])


@pytest.mark.parametrize("device", ["CPU", "GPU"])
def test_the_runtime_for_older_clusters_is_the_one_that_the_services_name(device: str, tmp_path: Path) -> None:
    export = exported(tmp_path, device=device, namespace="vision")
    runtime = msgspec.convert(
        yaml.safe_load((export.folder / "kserve/runtime/serving-runtime.yaml").read_text()), ServingRuntime
    )
    model = inference_service_of(document_of(export)).spec.predictor.model
    assert model is not None
    assert (runtime.metadata.name, runtime.metadata.namespace) == (model.runtime, "vision")
    assert [one.name for one in runtime.spec.supported_model_formats] == [model.model_format.name]
    assert set(runtime.spec.protocol_versions) == {"v2", "grpc-v2"}
    (container,) = runtime.spec.containers
    assert container.name == "kserve-container"
    assert container.security_context is not None
    # runAsNonRoot is checked by the number; the image names its user.
    assert (container.security_context.run_as_non_root, container.security_context.run_as_user) == (True, 5000)
    assert (container.image or "").endswith("-gpu") == (device == "GPU")
    # KServe fills in the name of the service; the ports are those of the services.
    expected = {"--model_name={{.Name}}", "--model_path=/mnt/models", "--port=9000", "--rest_port=8080"}
    assert expected <= set(container.args or [])
    assert sorted(path.name for path in (export.folder / "kserve").glob("*.yaml")) == ["signs.yaml"]


def test_our_own_image_needs_no_runtime(tmp_path: Path) -> None:
    assert not (exported(tmp_path, **OWN).folder / "kserve/runtime").exists()


@pytest.mark.parametrize("protocol", ["v2", "grpc-v2"])
def test_our_command_line_takes_the_arguments_of_the_container(protocol: str, tmp_path: Path) -> None:
    container = answering(service_of(**OWN, protocol=protocol).spec.predictor)
    values, server = server_flags(container.args or [], tmp_path)
    assert (values["models"], values["named"]) == ((), (("signs", "/mnt/models"),))
    assert (server.host, server.token) == ("0.0.0.0", "0123456789abcdef")
    (port,) = container.ports or []
    assert port.container_port == (server.port if protocol == "v2" else server.grpc_port)
    assert (server.grpc_port is None) == (protocol == "v2")
    assert server.drain_timeout_s + 5 <= GRACE_PERIOD_S
    assert server.log_format == "json"
    assert (values["threads"], values["device"]) == (2, "CPU")


def test_probes_ask_for_what_the_server_answers_without_a_token() -> None:
    container = answering(service_of(**OWN).spec.predictor)
    for probe, path in ((container.readiness_probe, "ready"), (container.liveness_probe, "live")):
        assert probe is not None
        assert probe.http_get is not None
        assert (probe.http_get.path, probe.http_get.port) == (f"/v2/health/{path}", 8080)
    with_grpc = answering(service_of(**OWN, protocol="grpc-v2").spec.predictor)
    assert with_grpc.readiness_probe is not None
    assert with_grpc.readiness_probe.grpc is not None
    # The health service says NOT_SERVING while models are loaded, which is no reason to restart the server.
    assert with_grpc.liveness_probe is not None
    assert with_grpc.liveness_probe.tcp_socket is not None


def test_the_token_comes_from_a_secret() -> None:
    predictor = service_of(**OWN, token_secret="signs.token").spec.predictor
    (volume,) = predictor.volumes or []
    (mount,) = (predictor.containers or [])[0].volume_mounts or []
    (item,) = volume.secret.items or []
    assert (volume.secret.secret_name, item.key, mount.read_only) == ("signs.token", "token", True)
    assert f"--token-file {mount.mount_path}/{item.path}" in " ".join(answering(predictor).args or [])


def test_without_a_token_only_the_given_hosts_are_allowed(tmp_path: Path) -> None:
    predictor = service_of(**WITHOUT_TOKEN).spec.predictor
    assert predictor.volumes is None
    _, server = server_flags(answering(predictor).args or [], tmp_path)
    assert (server.insecure_no_auth, server.token) == (True, None)
    assert server.allowed_hosts == ("a.example.com", "a-predictor.x.svc")


def test_the_container_has_no_privileges() -> None:
    security = answering(service_of(**OWN).spec.predictor).security_context
    assert security is not None
    assert security.run_as_non_root
    assert security.read_only_root_filesystem
    assert security.allow_privilege_escalation is False
    assert security.capabilities is not None
    assert security.capabilities.drop == ["ALL"]


def test_the_image_of_our_dockerfile_takes_these_arguments() -> None:
    dockerfile = (ROOT / "demos/edge/serve.Dockerfile").read_text()
    container = answering(service_of(**OWN).spec.predictor)
    assert container.command is None, "the arguments follow the entry point of the image"
    entry = re.search(r"^ENTRYPOINT (.*)$", dockerfile, re.MULTILINE)
    assert entry is not None
    assert json.loads(entry[1]) == ["ov-mobilenet", "serve"]
    # Kubernetes checks runAsNonRoot by the number of the user.
    user = re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE)
    assert user
    assert int(user[-1]) > 0
    assert container.image == OWN["image"]


def test_the_limits_of_memory_hold_what_the_server_buffers() -> None:
    """The defaults: all requests in memory, and as much again for the models and the images."""
    container = answering(service_of(**OWN).spec.predictor)
    assert container.resources is not None
    limit = container.resources.limits["memory"]
    assert limit.endswith("Gi")
    assert Decimal(limit.removesuffix("Gi")) * 2**30 >= 2 * ServerSettings().max_buffered_bytes


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "predictor", "terminationGracePeriodSeconds"), 40),
        (("spec", "predictor", "securityContext"), {"fsGroup": 1}),
        (("spec", "predictor", "containers", 0, "lifecycle"), {}),
        (("spec", "predictor", "containers", 0, "livenessProbe", "httpGet", "port"), 8081),
        (("spec", "predictor", "containers", 0, "ports", 0, "name"), "http"),
        (("spec", "predictor", "storageURI"), "s3://x"),
        (("spec", "predictor", "containers", 0, "name"), "server"),
        (("spec", "predictor", "containers", 0, "resources", "limits", "cpu"), 2),
        (("spec", "predictor", "containers", 0, "resources", "limits", "nvidia.com/gpu"), "1"),
        (("metadata", "name"), "Signs"),
        (("metadata", "name"), "1signs"),
    ],
)
def test_the_rules_of_this_file_refuse_what_a_cluster_refuses(path: tuple[Any, ...], value: object) -> None:
    document = yaml.safe_load(text_of(**OWN))
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises((msgspec.ValidationError, AssertionError)):
        inference_service_of(document)
        check_knative(document)
