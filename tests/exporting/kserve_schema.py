"""The fields that an InferenceService and a ServingRuntime may have, from KServe's and Kubernetes' API references.

https://kserve.github.io/website/docs/reference/crd-api and https://kubernetes.io/docs/reference/kubernetes-api. The
Kubernetes API drops or refuses an unknown field; here it is an error. Fields that an export does not write have the
type Any.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Quantity = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
# Of an extended resource, as a GPU: whole numbers only.
Resources = dict[Literal["cpu", "memory", "gpu.intel.com/i915", "gpu.intel.com/xe"], Quantity]


class Known(Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """An object with known fields."""


class Metadata(Known, kw_only=True):
    """`ObjectMeta`, as a user writes it."""

    name: Name
    namespace: Name | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class HttpGet(Known, kw_only=True):
    """`HTTPGetAction`."""

    path: Annotated[str, Meta(pattern="^/")]
    port: Port
    host: str | None = None
    scheme: Literal["HTTP", "HTTPS"] | None = None
    http_headers: Any = None


class TcpSocket(Known, kw_only=True):
    """`TCPSocketAction`."""

    port: Port
    host: str | None = None


class GrpcCheck(Known, kw_only=True):
    """`GRPCAction`."""

    port: Port
    service: str | None = None


class ContainerProbe(Known, kw_only=True):
    """`Probe`."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    grpc: GrpcCheck | None = None
    exec: Any = None
    initial_delay_seconds: int | None = None
    period_seconds: Annotated[int, Meta(ge=1)] | None = None
    timeout_seconds: Annotated[int, Meta(ge=1)] | None = None
    success_threshold: Annotated[int, Meta(ge=1)] | None = None
    failure_threshold: Annotated[int, Meta(ge=1)] | None = None
    termination_grace_period_seconds: int | None = None


class ContainerPort(Known, kw_only=True):
    """`ContainerPort`."""

    container_port: Port
    name: Literal["http1", "h2c"]
    protocol: Literal["TCP"] = "TCP"
    host_port: Any = None


class Variable(Known, kw_only=True):
    """`EnvVar`."""

    name: str
    value: str | None = None
    value_from: Any = None


class Requirements(Known, kw_only=True):
    """`ResourceRequirements`."""

    requests: Resources
    limits: Resources
    claims: Any = None


class Capabilities(Known, kw_only=True):
    """`Capabilities`."""

    add: list[str] | None = None
    drop: list[str] | None = None


class ContainerSecurity(Known, kw_only=True):
    """`SecurityContext` of a container."""

    run_as_non_root: bool | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    allow_privilege_escalation: bool | None = None
    privileged: bool | None = None
    read_only_root_filesystem: bool | None = None
    capabilities: Capabilities | None = None
    seccomp_profile: Any = None


class Mount(Known, kw_only=True):
    """`VolumeMount`."""

    name: str
    mount_path: Annotated[str, Meta(pattern="^/")]
    read_only: bool = False
    sub_path: str | None = None


class ContainerFields(Known, kw_only=True):
    """The fields of a `Container` that a `model` has too."""

    image: str | None = None
    args: list[str] | None = None
    command: list[str] | None = None
    env: list[Variable] | None = None
    env_from: Any = None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    ports: Annotated[list[ContainerPort], Meta(min_length=1)] | None = None
    liveness_probe: ContainerProbe | None = None
    readiness_probe: ContainerProbe | None = None
    startup_probe: ContainerProbe | None = None
    resources: Requirements | None = None
    security_context: ContainerSecurity | None = None
    volume_mounts: list[Mount] | None = None
    working_dir: str | None = None


class PodContainer(ContainerFields, kw_only=True):
    """`Container`."""

    name: str


class Format(Known, kw_only=True):
    """`ModelFormat`, and `SupportedModelFormat` of a runtime."""

    name: str
    version: str | None = None


class SupportedFormat(Format, kw_only=True):
    """`SupportedModelFormat`."""

    auto_select: bool | None = None
    priority: int | None = None


Protocol = Literal["v1", "v2", "grpc-v1", "grpc-v2"]


class ModelSpec(ContainerFields, kw_only=True):
    """`ModelSpec`."""

    model_format: Format
    runtime: str | None = None
    runtime_version: str | None = None
    protocol_version: Protocol | None = None
    storage_uri: str | None = None
    storage: Any = None


class KeyPath(Known, kw_only=True):
    """`KeyToPath`."""

    key: str
    path: str
    mode: int | None = None


class SecretSource(Known, kw_only=True):
    """`SecretVolumeSource`."""

    secret_name: str
    items: list[KeyPath] | None = None
    default_mode: int | None = None
    optional: bool | None = None


class Volume(Known, kw_only=True):
    """`Volume` from a secret."""

    name: str
    secret: SecretSource


class PredictorSpec(Known, kw_only=True):
    """`PredictorSpec`: `ComponentExtensionSpec` and `PodSpec`."""

    model: ModelSpec | None = None
    containers: Annotated[list[PodContainer], Meta(min_length=1)] | None = None
    volumes: list[Volume] | None = None
    service_account_name: str | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    timeout: int | None = None
    termination_grace_period_seconds: int | None = None
    node_selector: Any = None
    tolerations: Any = None
    security_context: Any = None


class InferenceServiceSpec(Known, kw_only=True):
    """`InferenceServiceSpec`."""

    predictor: PredictorSpec
    transformer: Any = None
    explainer: Any = None


class InferenceService(Known, kw_only=True):
    """`InferenceService`."""

    api_version: Literal["serving.kserve.io/v1beta1"]
    kind: Literal["InferenceService"]
    metadata: Metadata
    spec: InferenceServiceSpec


class ServingRuntimeSpec(Known, kw_only=True):
    """`ServingRuntimeSpec`."""

    supported_model_formats: list[SupportedFormat]
    protocol_versions: list[Protocol]
    containers: Annotated[list[PodContainer], Meta(min_length=1)]
    annotations: dict[str, str] | None = None
    multi_model: bool | None = None


class ServingRuntime(Known, kw_only=True):
    """`ServingRuntime`."""

    api_version: Literal["serving.kserve.io/v1alpha1"]
    kind: Literal["ServingRuntime"]
    metadata: Metadata
    spec: ServingRuntimeSpec


def inference_service_of(document: object) -> InferenceService:
    """The object, if all fields are known and have their types, and the rules that are no types hold."""
    service = msgspec.convert(document, InferenceService)
    predictor = service.spec.predictor
    assert (predictor.model is None) != (predictor.containers is None), "a model or a container of one's own"
    for container in predictor.containers or ():
        assert container.name == "kserve-container", "KServe looks for the storage URI in this container"
        mounts = {mount.name for mount in container.volume_mounts or ()}
        assert mounts == {volume.name for volume in predictor.volumes or ()}
    for probe in probes_of(predictor):
        assert sum(one is not None for one in (probe.http_get, probe.tcp_socket, probe.grpc, probe.exec)) == 1
    return service


def probes_of(predictor: PredictorSpec) -> list[ContainerProbe]:
    """All probes of the container."""
    container = answering(predictor)
    found = (container.liveness_probe, container.readiness_probe, container.startup_probe)
    return [probe for probe in found if probe is not None]


def answering(predictor: PredictorSpec) -> ContainerFields:
    """What describes the container that answers."""
    container = predictor.model if predictor.model is not None else (predictor.containers or [])[0]
    assert container is not None
    return container


def check_knative(document: dict[str, Any]) -> None:
    """The rules of Knative, which runs the pods in KServe's mode `Knative`, for what it takes by default.

    https://github.com/knative/specs/blob/main/specs/serving/knative-api-specification-1.0.md
    """
    predictor = document["spec"]["predictor"]
    extension = {"model", "minReplicas", "maxReplicas", "timeout"}
    allowed = {"containers", "volumes", "serviceAccountName", "imagePullSecrets", "enableServiceLinks"}
    assert set(predictor) <= extension | allowed
    container = predictor.get("model") or predictor["containers"][0]
    assert not {"lifecycle", "stdin", "tty", "volumeDevices"} & set(container)
    (port,) = container["ports"]
    assert port["name"] in ("http1", "h2c")
    # Reserved for Knative's proxy.
    assert port["containerPort"] not in (8008, 8012, 8013, 8022, 9090, 9091)
    for probe in (container.get("readinessProbe"), container.get("livenessProbe")):
        if probe is not None:
            (handler,) = (probe[kind] for kind in ("httpGet", "tcpSocket", "grpc") if kind in probe)
            assert handler["port"] == port["containerPort"], "Knative sends every probe to the only port"
            # With HTTP/2 without TLS, a probe with HTTP/1 would not be understood.
            assert ("httpGet" in probe) == (port["name"] == "http1")
    for volume in predictor.get("volumes", ()):
        assert set(volume) - {"name"} <= {"secret", "configMap", "projected", "emptyDir"}
