"""A program as a user with a type checker writes it. It is checked by mypy --strict and pyright, and never run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ov_mobilenet as ovm

MODEL = "mobilenet-v1-0.25-128-signs"


def prepare(folder: Path) -> Path:
    """Convert a model, check it against its source network and quantise it; returns the path of the INT8 IR."""
    config: ovm.ModelConfig = ovm.find_config(MODEL)
    names: list[str] = [model.name for model in ovm.list_models()]
    assert config.name in names
    sources: ovm.SourceFiles = ovm.download(config, folder / "sources", offline=True)
    (fp16,) = ovm.convert(sources, folder, precisions=("FP16",), form=ovm.Form(input_type="u8", layout="NHWC"))
    (fp32,) = ovm.convert(MODEL, folder, precisions=["FP32"], offline=True)
    checked: ovm.Verification = ovm.verify(sources, fp32)
    print(fp16.xml, checked.max_difference)
    settings = ovm.QuantizeSettings(preset="mixed", subset_size=100)
    int8: ovm.Quantized = ovm.quantize(fp32.xml, folder / "images", settings=settings)
    return int8.model.xml


def classify(xml: Path, frame: NDArray[np.uint8]) -> list[str]:
    """Classify one image, a sequence of images, and images from other threads; returns labels."""
    classifier: ovm.Classifier = ovm.load_classifier(
        xml, device="CPU", hint="latency", inference_precision="f32", streams=1, geometry="crop 0.875, resize 128"
    )
    same_settings = ovm.DeviceSettings(device="CPU", hint="throughput", streams=2)
    ovm.load_classifier(MODEL, settings=same_settings, offline=True, cache_dir=Path("cache"), batch_size=4)
    single: ovm.Classification = classifier.classify(frame, top_k=3)
    predictions: tuple[ovm.Prediction, ...] = single.top_k
    labels: list[str] = [prediction.label for prediction in predictions]
    probability: float = single.best.probability
    milliseconds: float = single.timings_ms.total
    print(probability, milliseconds)
    with ovm.open_inputs(["images", "film.mp4"], every=10, limit=5) as inputs:
        for result in classifier.stream(inputs, top_k=1):
            if isinstance(result, ovm.Failure):
                print(result.source, result.error)
            else:
                labels.append(result.best.label)
    with ovm.InferQueue(classifier, top_k=1, max_wait_ms=5) as queue:
        queue.submit(frame, key="first")
        queue.submit(ovm.Item(frame, "camera"))
        queue.close()
        for key, answer in queue:
            print(key, answer.source)
    with ovm.InferQueue[int](classifier, top_k=1) as numbered:
        numbered.submit(frame, key=3)
        prepared: ovm.Prepared = classifier.prepare(frame)
        numbered.submit_prepared(prepared, 4)
        numbered.close()
        sources: dict[int, str] = {number: answer.source for number, answer in numbered}
    print(sources[3], single.to_dict()["predictions"])
    return labels


def diagnose(network: Path, images: Path) -> str | None:
    """Tell the normalisation of a network; returns the name of the best candidate if it is certain."""
    given = ovm.Normalisation(mean=(120.0, 115.0, 100.0), scale=(60.0,), reverse_input_channels=True)
    found: ovm.Diagnosis = ovm.diagnose(network, [images], limit=50, geometry="resize 256, crop 224", given=given)
    best: ovm.Candidate = found.best
    shares: list[float] = [row.share for row in found.candidates]
    rows: tuple[ovm.RankedCandidate, ...] = found.candidates
    print(rows[0].score, shares, best.normalisation.mean, found.to_dict()["verdict"])
    return best.name if found.verdict == "sure" and not found.is_wrong else None


def measure(xml: Path, dataset: Path) -> float:
    """Measure accuracy and speed and search the best settings; returns images per second."""
    accuracy: ovm.AccuracyReport = ovm.measure_accuracy(xml, dataset, annotations=dataset / "val.txt", device="CPU")
    top1: float = accuracy.top1
    comparison: ovm.ModelComparison = ovm.compare([str(xml), f"{MODEL}@source"], dataset, limit=10)
    measurement: ovm.Measurement = ovm.benchmark(xml, device="CPU", hint="throughput", time_s=2, mode="inference")
    workload = ovm.Workload(mode="end-to-end", input=str(dataset), time_s=1)
    ovm.benchmark(MODEL, settings=ovm.DeviceSettings(device="CPU"), workload=workload, offline=True)
    tuned = ovm.tune(xml, device="CPU", objective="latency", latency_budget_ms=10, time_limit_s=20)
    tuned.save("camera.yml")
    profile: ovm.Profile = ovm.load_profile("camera.yml")
    ovm.load_classifier(xml, profile=profile)
    print(top1, comparison, measurement.latency_ms.p95)
    return measurement.throughput_fps


def classify_many(xml: Path, images: Path) -> float | None:
    """Classify into Parquet parts on a cluster; returns images per second."""
    settings = ovm.BulkSettings(images_per_part=500, min_probability=0.1, max_errors=100)
    plan: ovm.Manifest = ovm.plan_bulk(xml, images, "results", settings=settings, offline=True)
    total: int | None = plan.inputs.images
    done: ovm.BulkResult = ovm.bulk(
        xml, [images, "@list.txt"], "results", settings=settings, ray=ovm.RaySettings("auto", workers=4), device="CPU",
        on_progress=lambda now: print(now.parts, now.total_parts), on_failure=lambda failure: print(failure.source),
    )  # fmt: skip
    missing: list[str] = [failed.part for failed in done.failed_shards]
    rows: dict[str, int] = {part.name: part.images for part in done.manifest.parts}
    print(total, missing, rows)
    return done.images_per_second


def serve(xml: Path) -> dict[str, str]:
    """Serve two models in a thread; returns the addresses."""
    limits = ovm.ServerSettings(port=0, grpc_port=None, max_queue=64, token="0123456789abcdef", drain_timeout_s=5)
    classifier: ovm.Classifier = ovm.load_classifier(xml, device="CPU")
    with ovm.Server({"mine": xml, "loaded": classifier}, limits, device="GPU", batch_size=4) as server:
        server.reload()
        port: int = server.port
        print(port)
        return {"http": server.url, "grpc": server.grpc_address or ""}


async def serve_in_loop(models: list[str]) -> None:
    """Serve by the models' own names, until the task is cancelled."""
    await ovm.Server(models, ovm.ServerSettings(reload=True)).serve(on_ready=lambda: print("ready"))


def main() -> int:
    """Run everything; an error is one message and an exit code."""
    folder = Path("work")
    try:
        xml = prepare(folder)
        classify(xml, np.zeros((240, 320, 3), np.uint8))
        measure(xml, folder / "images")
        classify_many(xml, folder / "images")
        serve(xml)
    except ovm.MissingDependencyError as error:
        print(f"install it: {error.fix}")
        return error.exit_code
    except (ovm.DownloadError, ovm.ConversionError, ovm.DeviceError, ovm.UsageError) as error:
        print(error.what, error.where, error.expected, error.got)
        return error.exit_code
    except ovm.OvMobilenetError as error:
        code: int = error.exit_code
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
