"""The README of an export for KServe: the commands that copy the models, start the services and ask them."""

from __future__ import annotations

from collections.abc import Sequence

from ov_mobilenet.exporting.inference_service import DRAIN_TIMEOUT_S, GRACE_PERIOD_S, OVMS_RUNTIME
from ov_mobilenet.exporting.kserve_export import ExportedService
from ov_mobilenet.exporting.kserve_settings import KserveSettings
from ov_mobilenet.exporting.repository import LABELS
from ov_mobilenet.exporting.storage_uri import StorageUri

KSERVE = "kserve"
# Not directly in KSERVE, whose files `kubectl apply -f` takes all.
RUNTIME = "runtime/serving-runtime.yaml"


def kserve_readme(services: Sequence[ExportedService], storage: StorageUri, settings: KserveSettings) -> str:
    """The text of the README."""
    rows = "\n".join(f"| {one.name} | {one.service} | `{one.storage_uri}` |" for one in services)
    parts = [
        "# Models for KServe",
        f"| folder in `models` | service and model name for clients | storage URI |\n|---|---|---|\n{rows}",
        _copying(services, storage),
        _ovms_start(settings) if settings.runtime == "ovms" else _own_start(settings),
        _clients(services[0], settings),
        _differences(services, settings),
    ]
    return "\n\n".join(parts) + "\n"


def _namespace(settings: KserveSettings) -> str:
    return "" if settings.namespace is None else f" -n {settings.namespace}"


def _copying(services: Sequence[ExportedService], storage: StorageUri) -> str:
    lines = ["## 1. Copy the models", "", "The services fetch the models from the storage; nothing is there yet.", ""]
    scheme = storage.text.partition(":")[0]
    if not storage.takes_folders:
        lines += [
            "From an https address KServe fetches one file, so each model is an archive. Put these files there:", "",
            "```sh", *(f"tar -C models/{one.name} -czf {one.name}.tar.gz 1" for one in services), "```",
        ]  # fmt: skip
    elif scheme == "pvc":
        claim, _, path = storage.text.removeprefix("pvc://").partition("/")
        lines.append(
            f"Copy the content of `models` to {f'the folder `{path}` of ' if path else ''}the volume of the claim "
            f"`{claim}`, with a pod that mounts it (`kubectl cp models/. POD:FOLDER`)."
        )
    else:
        command = {
            "s3": f"aws s3 cp --recursive models {storage.text}",
            "gs": f"gcloud storage rsync --recursive models {storage.text}",
        }.get(scheme, f"azcopy copy --recursive 'models/*' '{storage.text}'")
        lines += ["```sh", command, "```"]
    lines += ["", "For a private storage, give KServe its credentials by a service account: `--service-account NAME`."]
    return "\n".join(lines)


def _ovms_start(settings: KserveSettings) -> str:
    namespace = _namespace(settings)
    return f"""## 2. Start the services

Newer releases of KServe include OpenVINO Model Server as the runtime `{OVMS_RUNTIME}`. Only if the first command does
not find it, add it to the namespace with the second one.

```sh
kubectl get clusterservingruntime {OVMS_RUNTIME}
kubectl apply{namespace} -f {KSERVE}/{RUNTIME}
```

```sh
kubectl apply{namespace} -f {KSERVE}/
```"""


def _own_start(settings: KserveSettings) -> str:
    namespace = _namespace(settings)
    if settings.insecure_no_auth:
        token = "Whoever reaches the services can use them: they take no token."
    else:
        token = f"""Clients send a token, which the services read from a secret:

```sh
(umask 077; openssl rand -hex 32 > token)
kubectl create secret generic {settings.token_secret}{namespace} --from-file=token=token
```"""
    return f"""## 2. Start the services

The image `{settings.image}` is that of `demos/edge/serve.Dockerfile` in the repository of ov-mobilenet:

```sh
docker build -f demos/edge/serve.Dockerfile -t {settings.image} . && docker push {settings.image}
```

{token}

```sh
kubectl apply{namespace} -f {KSERVE}/
```

The services finish running requests in {DRAIN_TIMEOUT_S} s after SIGTERM (`--drain-timeout`), and Kubernetes waits for
{GRACE_PERIOD_S} s. For more, set both: `--drain-timeout` in `args`, and `terminationGracePeriodSeconds` in `predictor`
(with Knative, which refuses that, `timeout`). In KServe's mode `Standard`, new connections may still come for a moment
after SIGTERM and are refused; this setting of the container, which Knative refuses too, avoids that:
`lifecycle: {{preStop: {{sleep: {{seconds: 5}}}}}}`."""


def _clients(one: ExportedService, settings: KserveSettings) -> str:
    namespace = _namespace(settings)
    has_token = settings.runtime == "ov-mobilenet" and not settings.insecure_no_auth
    curl_token = ' -H "Authorization: Bearer $(cat token)"' if has_token else ""
    ask = f"""curl -H "Host: $SERVICE_HOST"{curl_token} \\
  "http://$INGRESS/v2/models/{one.service}\""""
    if settings.runtime == "ov-mobilenet":
        ask += f"""
curl -H "Host: $SERVICE_HOST"{curl_token} \\
  --data-binary @image.jpg "http://$INGRESS/v1/classify\""""
    headers = ', "Authorization": "Bearer " + open("token").read().strip()' if has_token else ""
    if settings.protocol == "grpc-v2":
        ask = ""
        client = f"""import tritonclient.grpc as protocol

client = protocol.InferenceServerClient(
    os.environ["INGRESS"], channel_args=[("grpc.default_authority", os.environ["SERVICE_HOST"])]
)
headers = {{{headers.removeprefix(", ").replace('"Authorization"', '"authorization"')}}}
model = client.get_model_metadata("{one.service}", headers=headers, as_json=True)"""
    else:
        client = f"""import tritonclient.http as protocol

client = protocol.InferenceServerClient(os.environ["INGRESS"])
headers = {{"Host": os.environ["SERVICE_HOST"]{headers}}}
model = client.get_model_metadata("{one.service}", headers=headers)"""
    show = "print(best)"
    if one.labels is not None:
        show = f'print(best, open("{LABELS}/{one.labels.name}", encoding="utf-8").read().splitlines()[best])'
    shell = f"\n{ask}" if ask else ""
    url = "-o jsonpath='{.status.url}' | cut -d / -f 3"
    return f"""## 3. Ask them

The ingress finds the service by the Host header. `INGRESS` is its address as HOST:PORT.

```sh
export INGRESS=127.0.0.1:8080
export SERVICE_HOST=$(kubectl get inferenceservice {one.service}{namespace} {url}){shell}
```

```python
import os

import numpy as np
{client}
image = protocol.InferInput(model["inputs"][0]["name"], [1], "BYTES")
image.set_data_from_numpy(np.array([open("image.jpg", "rb").read()], dtype=np.object_))
answer = client.infer("{one.service}", [image], headers=headers)
best = int(answer.as_numpy(model["outputs"][0]["name"]).argmax())
{show}
```"""


def _differences(services: Sequence[ExportedService], settings: KserveSettings) -> str:
    lines = ["## What differs between the runtimes", ""]
    baked = all(one.input_size is None for one in services)
    if settings.runtime == "ovms":
        lines.append(
            "- OpenVINO Model Server passes the image as it is: crop and resize are in the graph." if baked else
            "- OpenVINO Model Server stretches the whole image to the input, without the crop that most models were "
            "trained with: export with `--bake-geometry`, or crop in the client. `ov-mobilenet serve` "
            "(`--runtime ov-mobilenet`) crops and resizes as the model was trained."
        )  # fmt: skip
        if fewest := [f"{one.service} ({one.batch})" for one in services if one.batch.partition(":")[0] != "1"]:
            lines.append(
                f"- Requests with fewer images than a model takes are errors, so the client above, which sends one "
                f"image, needs `--batch 1:N`: {', '.join(fewest)}."
            )
        lines += [
            "- Grey and RGBA files are errors, and the orientation in EXIF is ignored.",
            "- It checks neither a token nor the Host header: protect it by the ingress or by network policies.",
        ]
    else:
        lines += [
            "- `ov-mobilenet serve` crops and resizes image files as the model was trained, and reads grey, RGBA and "
            "rotated files. OpenVINO Model Server (`--runtime ovms`) stretches the whole image.",
            "- Requests without the token are refused; those for health need none." if not settings.insecure_no_auth
            else "- Names in the Host header other than those of `--allowed-host` are refused.",
            "- The root file system is read-only, and the process has no privileges.",
        ]  # fmt: skip
    if settings.device == "GPU":
        lines.append(
            "- The nodes need Intel's device plugin for GPUs, and the image OpenVINO's GPU driver "
            "(intel-opencl-icd, libze1); GPUs of the other kernel driver are another resource (`--gpu-resource`)."
        )
    return "\n".join(lines)
