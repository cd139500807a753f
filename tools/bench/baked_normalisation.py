"""Cost of the normalisation in the graph: throughput and CPU time relative to the same networks without it.

    python tools/bench/baked_normalisation.py [MODEL.yml …] [--pairs 5] [--seconds 1]

By default it measures the built-in sample model. The raw network is the source file converted by OpenVINO without
normalisation, with normalised floats as input. It is compared with our IR in its default form and with uint8 NHWC
input. All are compiled for throughput; each pair is measured alternately, and the medians of the ratios are printed.
Required of throughput: at least 0.99 for the default form, at least 1.0 for uint8 NHWC.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import openvino as ov
from cpu_time import Used, compared_runs
from infer_rate import used_per_run
from report import Report, add_json_option

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.conversion.sources import network_path
from ov_mobilenet.zoo.arguments import plan_conversion

REQUESTS = 4
FORMS = {"f32": ovm.Form(), "u8 NHWC": ovm.Form(input_type="u8", layout="NHWC")}


def networks(config: ovm.ModelConfig, folder: Path) -> dict[str, ov.Model]:
    """The raw network and our two forms of it."""
    sources = ovm.download(config, folder / "sources", cache_root=folder / "cache", offline=True)
    plan = plan_conversion(config)
    raw = ov.convert_model(network_path(config, plan, sources.folder), output=plan.output and [plan.output])
    raw.reshape({raw.inputs[0]: list(plan.input.shape)})
    found = {"raw": raw}
    for name, form in FORMS.items():
        (model,) = ovm.convert(sources, folder / name.split()[0], precisions=("FP32",), form=form)
        found[name] = ov.Core().read_model(model.xml)
    return found


def main() -> None:
    """Measure, and print one line per network, precision and form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=[SAMPLE])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    add_json_option(parser)
    options = parser.parse_args()
    core = ov.Core()
    report = Report(options)
    for model in options.models:
        config = ovm.find_config(model)
        with tempfile.TemporaryDirectory() as folder:
            found = networks(config, Path(folder))
            for precision in ("f32", "bf16"):
                if precision.upper() not in (*core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"), "F32"):
                    continue
                properties = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"}
                compiled = {name: core.compile_model(network, "CPU", properties) for name, network in found.items()}
                pairs: dict[str, list[tuple[Used, Used]]] = {name: [] for name in FORMS}
                for _ in range(options.pairs):
                    for name in FORMS:
                        raw = used_per_run(compiled["raw"], REQUESTS, options.seconds)
                        pairs[name].append((used_per_run(compiled[name], REQUESTS, options.seconds), raw))
                for name, runs in pairs.items():
                    result = compared_runs(runs)
                    print(f"{config.name} at {precision}, {name} against the raw network: {result}", flush=True)
                    report.add(f"{config.name} at {precision}, {name} against the raw network", result.figures())
    report.write()


if __name__ == "__main__":
    main()
