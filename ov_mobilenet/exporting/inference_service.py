"""The Kubernetes objects of an export as plain values: InferenceService (v1beta1) and ServingRuntime (v1alpha1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ov_mobilenet.exporting.kserve_settings import KserveSettings

HTTP_PORT, GRPC_PORT = 8080, 9000
# Where KServe's storage initializer puts the content of a storage URI.
MODEL_MOUNT = "/mnt/models"
TOKEN_MOUNT = "/etc/ov-mobilenet"
# The name that KServe requires of the container that answers.
CONTAINER = "kserve-container"
OVMS_RUNTIME = "kserve-openvino"
OVMS_USER = 5000
OVMS_IMAGE, OVMS_GPU_IMAGE = "openvino/model_server:latest", "openvino/model_server:latest-gpu"
# Kubernetes ends a pod after 30 s, Knative after 300 s. Knative refuses terminationGracePeriodSeconds, so the default
# must be enough: the rest is for the start of the end and for writing the log.
GRACE_PERIOD_S = 30
DRAIN_TIMEOUT_S = 20

Object = dict[str, Any]


def inference_service(name: str, storage_uri: str, settings: KserveSettings, ovms_config: Mapping[str, Any]) -> Object:
    """The InferenceService of one model.

    Args:
        name: of the service, and the model's name for clients.
        storage_uri: of the folder of the model, or of its archive.
        ovms_config: what `config.json` of OpenVINO Model Server would hold for the model.
    """
    is_ovms = settings.runtime == "ovms"
    predictor = _ovms(storage_uri, settings, ovms_config) if is_ovms else _own(name, storage_uri, settings)
    if settings.service_account is not None:
        predictor["serviceAccountName"] = settings.service_account
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": _metadata(name, settings),
        "spec": {"predictor": predictor},
    }


def serving_runtime(settings: KserveSettings) -> Object:
    """OpenVINO Model Server as a runtime, for clusters whose KServe does not include `kserve-openvino`."""
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": _metadata(OVMS_RUNTIME, settings),
        "spec": {
            "supportedModelFormats": [{"name": "openvino", "version": "1", "autoSelect": False}],
            "protocolVersions": ["v2", "grpc-v2"],
            "containers": [
                {
                    "name": CONTAINER,
                    "image": settings.image or (OVMS_GPU_IMAGE if settings.device == "GPU" else OVMS_IMAGE),
                    "args": [
                        "--model_name={{.Name}}", f"--model_path={MODEL_MOUNT}", f"--port={GRPC_PORT}",
                        f"--rest_port={HTTP_PORT}", "--file_system_poll_wait_seconds=0",
                    ],
                    # The image has the name of a user, which Kubernetes cannot check.
                    "securityContext": {**_security_context(), "runAsUser": OVMS_USER},
                }
            ],
        },
    }  # fmt: skip


def _metadata(name: str, settings: KserveSettings) -> Object:
    return {"name": name, **({} if settings.namespace is None else {"namespace": settings.namespace})}


def _ovms(storage_uri: str, settings: KserveSettings, config: Mapping[str, Any]) -> Object:
    """The predictor that the runtime `kserve-openvino` runs: it names the model as the service."""
    # The runtime gives name and path. The server takes the other keys of config.json as arguments, too.
    arguments = [
        f"--{key}={value if isinstance(value, str | int) else json.dumps(value)}"
        for key, value in config.items() if key not in ("name", "base_path")
    ]  # fmt: skip
    model: Object = {
        "modelFormat": {"name": "openvino"},
        "runtime": OVMS_RUNTIME,
        "protocolVersion": settings.protocol,
        "storageUri": storage_uri,
        "args": arguments,
        "ports": [_port(settings)],
        "readinessProbe": _probe(_tcp() if _is_grpc(settings) else _http("/v2/health/ready"), period_s=5, failures=3),
        "resources": _resources(settings),
    }
    if settings.image is not None:
        model["image"] = settings.image
    return {"model": model}


def _own(name: str, storage_uri: str, settings: KserveSettings) -> Object:
    """The predictor with a container of demos/edge/serve.Dockerfile."""
    is_grpc = _is_grpc(settings)
    environment = [{"name": "STORAGE_URI", "value": storage_uri}]
    if not is_grpc:  # KServe takes v1 and v2 here
        environment.append({"name": "PROTOCOL", "value": settings.protocol})
    container: Object = {
        "name": CONTAINER,
        "image": settings.image,
        "args": _arguments(name, settings),
        "env": environment,
        "ports": [_port(settings)],
        # With a port for gRPC, Knative sends all probes there.
        "readinessProbe": _probe(
            {"grpc": {"port": GRPC_PORT}} if is_grpc else _http("/v2/health/ready"), period_s=5, failures=3
        ),
        "livenessProbe": _probe(_tcp() if is_grpc else _http("/v2/health/live"), period_s=10, failures=6),
        "resources": _resources(settings),
        "securityContext": {**_security_context(), "readOnlyRootFilesystem": True},
    }
    if settings.insecure_no_auth:
        return {"containers": [container]}
    container["volumeMounts"] = [{"name": "token", "mountPath": TOKEN_MOUNT, "readOnly": True}]
    secret = {"secretName": settings.token_secret, "items": [{"key": "token", "path": "token"}]}
    return {"containers": [container], "volumes": [{"name": "token", "secret": secret}]}


def _arguments(name: str, settings: KserveSettings) -> list[str]:
    """The command line of `serve` in the container."""
    arguments = ["--name", f"{name}={MODEL_MOUNT}", "--host", "0.0.0.0", "--port", str(HTTP_PORT)]
    arguments += ["--grpc-port", str(GRPC_PORT)] if _is_grpc(settings) else ["--no-grpc"]
    if settings.insecure_no_auth:
        arguments.append("--insecure-no-auth")
        for host in settings.allowed_hosts:
            arguments += ["--allowed-host", host]
    else:
        arguments += ["--token-file", f"{TOKEN_MOUNT}/token"]
    arguments += ["--device", settings.device]
    # The cache of compiled models for a GPU is a file, and the root file system is read-only.
    arguments += ["--threads", str(settings.threads)] if settings.device == "CPU" else ["--model-cache", "off"]
    return [*arguments, "--drain-timeout", str(DRAIN_TIMEOUT_S), "--log-format", "json"]


def _is_grpc(settings: KserveSettings) -> bool:
    return settings.protocol == "grpc-v2"


def _port(settings: KserveSettings) -> Object:
    """The only port of a service. Knative tells HTTP/1 and HTTP/2 without TLS by its name."""
    name, number = ("h2c", GRPC_PORT) if _is_grpc(settings) else ("http1", HTTP_PORT)
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def _http(path: str) -> Object:
    return {"httpGet": {"path": path, "port": HTTP_PORT}}


def _tcp() -> Object:
    return {"tcpSocket": {"port": GRPC_PORT}}


def _probe(handler: Object, *, period_s: int, failures: int) -> Object:
    return {
        **handler,
        "periodSeconds": period_s,
        "timeoutSeconds": 3,
        "successThreshold": 1,
        "failureThreshold": failures,
    }


def _resources(settings: KserveSettings) -> Object:
    limits = {"cpu": settings.cpu_limit, "memory": settings.memory_limit}
    if settings.device == "GPU":
        limits[settings.gpu_resource] = "1"
    return {"requests": {"cpu": settings.cpu_request, "memory": settings.memory_request}, "limits": limits}


def _security_context() -> Object:
    """Of a container; that of the pod is switched off in Knative by default."""
    return {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
