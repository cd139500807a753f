"""The README in a model repository for OpenVINO Model Server."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ov_mobilenet.errors import printable
from ov_mobilenet.exporting.example import EXAMPLE, ExpectedClass
from ov_mobilenet.exporting.repository import CONFIG, LABELS
from ov_mobilenet.exporting.server_form import ServerNetwork
from ov_mobilenet.zoo.geometry import Geometry, resize_whole_image

IMAGE = "openvino/model_server:latest"


@dataclass(frozen=True)
class DescribedModel:
    """What the README says of a model."""

    exported: ServerNetwork
    answer: Sequence[ExpectedClass]
    device: str


def readme(models: Mapping[str, DescribedModel]) -> str:
    """The text, in Markdown.

    Args:
        models: the models in the repository, by name.
    """
    parts = [
        _start(sorted({model.device for model in models.values()})),
        _clients(models),
        "## Models\n\n" + "\n".join(_model(key, model) for key, model in models.items()),
        "## Check\n\n" + "\n\n".join(_check(key, model) for key, model in models.items()),
        _differences(models),
    ]
    return "\n\n".join(parts) + "\n"


def _start(devices: Sequence[str]) -> str:
    others = [device for device in devices if device != "CPU"]
    more = (
        f"\n\nThe target device is {', '.join(devices)}: the container needs access to it, and an image with its "
        "driver; see the server's documentation on accelerators."
        if others
        else ""
    )
    return f"""# Model repository for OpenVINO Model Server

## Start the server

In this folder:

```sh
docker run --rm -v "$PWD":/repository:ro -p 127.0.0.1:8000:8000 -p 127.0.0.1:9000:9000 {IMAGE} \\
    --config_path /repository/{CONFIG} --rest_port 8000 --port 9000
```

REST is on port 8000, gRPC on port 9000. The server has no authentication; without `127.0.0.1:` other machines can use
it. The same folder runs without Docker: `ovms --config_path {CONFIG} --rest_port 8000 --port 9000`, or
`ov-mobilenet serve DIR`.{more}"""


def _clients(models: Mapping[str, DescribedModel]) -> str:
    name, shown = min(models.items(), key=lambda item: item[1].exported.batch.low)  # the first one, if they are equal
    low = shown.exported.batch.low
    command = f"sh clients/classify.sh {EXAMPLE} {shlex.quote(name)} {shlex.quote(shown.exported.input_name)}"
    note = (
        ""
        if low == 1
        else f"The server refuses requests with fewer than {low} images, and these clients send one image each: export "
        f"again with `--batch 1:{shown.exported.batch.high}` to use them.\n\n"
    )
    return f"""## Send images

{note}```sh
curl http://127.0.0.1:8000/v2/models/{name}/ready -i
{printable(command)}
```

`clients/classify.sh` needs `curl` and prints the probabilities of all classes as JSON. `clients/classify.py` prints the
names of the best five:

```sh
pip install "tritonclient[http,grpc]" numpy
python clients/classify.py {shlex.quote(name)} {EXAMPLE}
python clients/classify.py {shlex.quote(name)} {EXAMPLE} --grpc
```

An image file is sent as a tensor of type BYTES and shape [1]. A client that has decoded pixels sends them as UINT8
[1, height, width, 3] in BGR, in the input size of the model."""


def _model(name: str, model: DescribedModel) -> str:
    exported = model.exported
    size = (
        "one image of any size"
        if exported.input_size is None
        else "{}x{} (height x width)".format(*exported.input_size)
    )
    images = "1 image" if exported.batch.high == 1 else f"{str(exported.batch).replace(':', ' to ')} images"
    labels = f", names in `{LABELS}/{name}.txt`" if exported.labels else ", without names"
    return printable(
        f"- `{name}`: {images} per request, {size}; input `{exported.input_name}`, output `{exported.output_name}`: "
        f"probabilities of {exported.classes} classes{labels}"
    )


def _check(name: str, model: DescribedModel) -> str:
    rows = [
        printable(f"| {one.class_id} | {_cell(one.label or '-')} | {one.probability:.3g} |") for one in model.answer
    ]
    return "\n".join([
        f"The best classes of `{EXAMPLE}` with `{name}`, computed at f32 on a CPU:",
        "",
        "| class | name | probability |",
        "|---:|---|---:|",
        *rows,
    ])  # fmt: skip


def _cell(text: str) -> str:
    """Text in a table of Markdown."""
    return text.replace("|", "\\|")


def _differences(models: Mapping[str, DescribedModel]) -> str:
    baked = [name for name, model in models.items() if model.exported.input_size is None]
    lines = [
        "- **Grey images and images with an alpha channel are errors** (invalid number of channels). Convert them to "
        "three channels before sending.",
        "- The orientation in the EXIF data of a photo is ignored, and 16-bit images are clipped to 0..255.",
        "- Probabilities can differ by some hundredths: a CPU or GPU may compute at bf16 or f16.",
    ]
    for names, geometry in _by_geometry(models):
        lines.insert(
            0,
            f"- **The server stretches the whole image to the input size**, as `classify --geometry whole` does. "
            f"{_listed(names)} was made for another geometry: {geometry}. Crop and resize in the client, or export "
            "again with `--bake-geometry`.",
        )
    if baked:
        lines.insert(
            0,
            f"- {_listed(baked)}: crop and resize are in the graph, so a request has one image, in its own size, and "
            "the answers are those of `classify`.",
        )
    return "## What differs from `ov-mobilenet classify`\n\n" + "\n".join(lines)


def _by_geometry(models: Mapping[str, DescribedModel]) -> list[tuple[list[str], Geometry]]:
    """The models for which the server's geometry is not their own, by geometry."""
    found: dict[Geometry, list[str]] = {}
    for name, model in models.items():
        size, geometry = model.exported.input_size, model.exported.geometry
        if size is not None and geometry is not None and geometry.steps != resize_whole_image(*size).steps:
            found.setdefault(geometry, []).append(name)
    return [(names, geometry) for geometry, names in found.items()]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
