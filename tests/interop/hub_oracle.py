"""Save networks of timm and transformers as these libraries save them, and compute what they answer.

    hub_oracle.py REQUESTS.json

Runs in the environment of `make test-hub`, which has neither ov-mobilenet nor OpenVINO. For each request a folder is
written as it would be pushed to a repository, the network is loaded again from that folder by the library's own loader,
and `OUT/NAME.npz` gets for all images the library's own pixels before normalisation (uint8 RGB, N x height x width x 3)
and its probabilities (N x classes), and for the first images the probabilities with red and blue exchanged. The fields
of a request are those of `Request` in tests/hub_repositories.py.
"""

from __future__ import annotations

import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

# torchvision registers its compiled operators here, which do not fit torch's CPU build; nothing below uses them.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")

import numpy as np  # noqa: E402
import timm  # noqa: E402
import timm.data  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from PIL import Image  # noqa: E402
from timm.models import save_for_hf  # noqa: E402
from torch import nn  # noqa: E402

CALIBRATION_SIDE = 128
BATCH = 5
FIRST_CONFIDENCE = 0.6
# Of queries and keys. At 1 the softmax of an attention picks one position, and the network magnifies rounding: timm's
# probabilities in float32 and float64 then differ by 4e-4.
ATTENTION_GAIN = 0.1


def randomise(network: nn.Module, pixels: torch.Tensor, classifier: nn.Linear) -> None:
    """Give a network random weights with which every layer matters.

    Batch norms record the images and are then disturbed: with statistics that do not fit, activations would fade or
    grow, and a wrong epsilon, padding or channel order would change nothing. The classifier looks only at what differs
    between the images, so that answers are clear without magnifying the rounding of float32, which is in all features.
    """
    generator = torch.Generator().manual_seed(0)

    def noise(tensor: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return torch.rand(tensor.shape, generator=generator) * (high - low) + low

    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                gain = ATTENTION_GAIN if "attn.query" in name or "attn.key" in name else 1.0
                deviation = gain * (2 / parameter[0].numel()) ** 0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)
            elif name.endswith("gamma"):  # layer scale, 1e-5 at first
                parameter.copy_(noise(parameter, 0.3, 0.9))
        for norm in norms:
            norm.weight.copy_(noise(norm.weight, 0.7, 1.3))
            norm.bias.copy_(noise(norm.bias, -0.3, 0.3))
            norm.reset_running_stats()
            norm.momentum = None  # the mean of all batches
            norm.train()
        small = nn.functional.interpolate(pixels, size=(CALIBRATION_SIDE, CALIBRATION_SIDE), mode="bilinear")
        network(small)
        network.eval()
        for norm in norms:
            norm.running_mean += noise(norm.running_mean, -0.2, 0.2) * norm.running_var.sqrt()
            norm.running_var *= noise(norm.running_var, 0.8, 1.25)
        features = features_of(network, pixels, classifier)
        differences = features - features.mean(0)
        mixture = torch.randn((classifier.out_features, len(pixels)), generator=generator) / 5
        for index in range(len(pixels)):  # as far as there are classes, each image has one of its own
            mixture[index % classifier.out_features, index] += 1.0
        classifier.weight.copy_(mixture @ nn.functional.normalize(differences))
        logits = features @ classifier.weight.T
        centre = logits.mean(0)
        low, high = 0.0, 1e4
        for _ in range(60):
            scale = (low + high) / 2
            confidence = ((logits - centre) * scale).softmax(1).amax(1).mean()
            low, high = (low, scale) if confidence > FIRST_CONFIDENCE else (scale, high)
        classifier.weight *= scale
        classifier.bias.copy_(-centre * scale + noise(centre, -0.1, 0.1))


def features_of(network: nn.Module, pixels: torch.Tensor, classifier: nn.Linear) -> torch.Tensor:
    """What the classifier gets, (N, features)."""
    seen: list[torch.Tensor] = []
    hook = classifier.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for batch in pixels.split(BATCH):
        network(batch)
    hook.remove()
    return torch.cat(seen)


def logits_of(network: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    output = network(pixels)
    logits: torch.Tensor = getattr(output, "logits", output)
    return logits


def answers(network: nn.Module, pixels: torch.Tensor, kind: str) -> Any:
    """The probabilities, float32 (N, classes)."""
    with torch.no_grad():
        logits = torch.cat([logits_of(network, batch) for batch in pixels.split(BATCH)])
    return (logits.sigmoid() if kind == "multilabel" else logits.softmax(1)).numpy()


def opened(request: dict[str, Any]) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in request["images"]]


def exchanged(images: list[Image.Image]) -> list[Image.Image]:
    """The first images with red and blue exchanged."""
    return [Image.fromarray(np.ascontiguousarray(np.asarray(image)[:, :, ::-1])) for image in images[:BATCH]]


# timm


def save_timm(request: dict[str, Any], folder: Path) -> None:
    network = timm.create_model(request["architecture"], pretrained=False, **request["create"]).eval()
    pixels, _ = timm_pixels(network, opened(request), use_test_size=False)
    randomise(network, pixels, network.get_classifier())
    save_for_hf(network, folder, safe_serialization=not request["pickle"], **request["save"])
    config = json.loads((folder / "config.json").read_text())
    if request["flat"]:  # as the first versions of timm wrote it
        config = {**config.pop("pretrained_cfg"), **config}
        for key in ("model_args", "global_pool"):
            config.pop(key, None)
        if "label_names" in config:
            config["labels"] = config.pop("label_names")
    config.update(request["config"])
    for key in request["without"]:
        config.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def timm_pixels(network: nn.Module, images: list[Image.Image], *, use_test_size: bool) -> tuple[torch.Tensor, Any]:
    """Normalised pixels, and the last step that is still an image."""
    config = timm.data.resolve_model_data_config(network, use_test_size=use_test_size)
    transform = timm.data.create_transform(**config, is_training=False)
    normalised, plain = [], []
    for image in images:
        step: Any = image
        for operation in transform.transforms:
            if isinstance(step, Image.Image):
                last = step
            step = operation(step)
        normalised.append(step)
        plain.append(np.asarray(last))
    return torch.stack(normalised), np.stack(plain)


def answer_timm(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    # A flat configuration is read in its present form; its values are those that timm saved.
    network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    images = opened(request)
    pixels, plain = timm_pixels(network, images, use_test_size=request["test_size"])
    swapped, _ = timm_pixels(network, exchanged(images), use_test_size=request["test_size"])
    return {
        "pixels": plain,
        "probabilities": answers(network, pixels, request["output"]),
        "swapped": answers(network, swapped, request["output"]),
    }


# transformers

CLASSES = {
    "mobilenet_v1": ("MobileNetV1Config", "MobileNetV1ForImageClassification", "MobileNetV1ImageProcessor"),
    "mobilenet_v2": ("MobileNetV2Config", "MobileNetV2ForImageClassification", "MobileNetV2ImageProcessor"),
}


def save_transformers(request: dict[str, Any], folder: Path) -> None:
    config_class, network_class, processor_class = (
        getattr(transformers, name) for name in CLASSES[request["architecture"]]
    )
    network = network_class(config_class(**request["create"])).eval()
    processor = processor_class(**request["processor"])
    pixels = processor(opened(request), return_tensors="pt").pixel_values
    randomise(network, pixels, network.classifier)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    if request["pickle"]:  # as transformers saved until version 4.35
        (folder / "model.safetensors").unlink()
        torch.save(network.state_dict(), folder / "pytorch_model.bin")
    config = json.loads((folder / "config.json").read_text())
    config.update(request["config"])
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def answer_transformers(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    network_class = getattr(transformers, CLASSES[request["architecture"]][1])
    network = network_class.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend=request["backend"])
    images = opened(request)
    found = {}
    for name, given in (("probabilities", images), ("swapped", exchanged(images))):
        pixels = processor(given, return_tensors="pt").pixel_values
        found[name] = answers(network, pixels, request["output"])
    plain = processor(images, do_rescale=False, do_normalize=False, return_tensors="pt").pixel_values.numpy()
    assert np.array_equal(plain, plain.round())
    found["pixels"] = plain.astype(np.uint8).transpose(0, 2, 3, 1)
    if request["legacy_processor"]:
        # Older versions wrote this file; transformers 5 refuses some of the names, so it is changed after the answers.
        path = folder / "preprocessor_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **request["legacy_processor"]}, indent=2))
    return found


def save_wrapped(request: dict[str, Any], folder: Path) -> None:
    """A network of timm that transformers' TimmWrapper saved.

    Its keys are timm's if it was loaded from a repository of timm, and begin with `timm_model.` otherwise.
    """
    source = folder.with_name(f"{folder.name}-before")
    network = timm.create_model(request["architecture"], pretrained=False, **request["create"]).eval()
    pixels, _ = timm_pixels(network, opened(request), use_test_size=False)
    save_for_hf(network, source, safe_serialization=True)
    names = request["labels"]
    config = transformers.TimmWrapperConfig.from_pretrained(source, id2label=dict(enumerate(names)))
    config.model_args = None  # timm 1.0.31 records the number of classes there too, which this class does not accept
    wrapper = transformers.TimmWrapperForImageClassification
    wrapped = wrapper(config) if request["from_config"] else wrapper.from_pretrained(source, config=config)
    wrapped.eval()
    randomise(wrapped, pixels, wrapped.timm_model.get_classifier())
    wrapped.save_pretrained(folder)
    shutil.rmtree(source)


def answer_wrapped(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    network = transformers.TimmWrapperForImageClassification.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    images = opened(request)
    _, plain = timm_pixels(network.timm_model, images, use_test_size=False)
    found = {"pixels": plain}
    for name, given in (("probabilities", images), ("swapped", exchanged(images))):
        found[name] = answers(network, processor(given, return_tensors="pt").pixel_values, request["output"])
    return found


KINDS = {
    "timm": (save_timm, answer_timm),
    "transformers": (save_transformers, answer_transformers),
    "timm_wrapper": (save_wrapped, answer_wrapped),
}


def main(path: Path) -> None:
    """Answer all requests."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for request in json.loads(path.read_text()):
        out = Path(request["out"])
        folder = out / request["name"]
        save, answer = KINDS[request["kind"]]
        save(request, folder)
        np.savez(out / f"{request['name']}.npz", **answer(request, folder))
        print(request["name"], flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
