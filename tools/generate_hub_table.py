"""Write the table of `ov-mobilenet list --hub`: the MobileNets that timm and Google publish on Hugging Face.

python tools/generate_hub_table.py --results results-imagenet.csv

Needs timm and transformers, in an environment of their own; nothing is downloaded. Tags, sizes, normalisation and
licences are timm's own pretrained configurations; parameters are counted. `results-imagenet.csv` is a file of timm's
repository (folder `results`); the columns model, img_size and top1 are used, and rows may be added to it.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parent.parent / "ov_mobilenet" / "hub" / "known_repositories.json"
FAMILIES = re.compile(r"(tf_)?mobilenet(v1|v2|v3|v4)_")
# Google's repositories, with version, width and size. They have no published configuration but the names.
GOOGLE = {
    "google/mobilenet_v1_1.0_224": (1, 1.0, 224),
    "google/mobilenet_v1_0.75_192": (1, 0.75, 192),
    "google/mobilenet_v2_1.4_224": (2, 1.4, 224),
    "google/mobilenet_v2_1.0_224": (2, 1.0, 224),
    "google/mobilenet_v2_0.75_160": (2, 0.75, 160),
    "google/mobilenet_v2_0.35_96": (2, 0.35, 96),
}

Results = Mapping[tuple[str, int], float]


def read_results(path: Path) -> Results:
    """Top-1 as a share of 1, by name and size of the input."""
    with path.open(newline="") as file:
        return {
            (row["model"], int(row["img_size"])): round(float(row["top1"]) / 100, 5) for row in csv.DictReader(file)
        }


def timm_rows(results: Results) -> Iterator[dict[str, Any]]:
    """The tags that timm publishes for the families whose modules this package has."""
    timm = importlib.import_module("timm")
    for name in timm.list_models("*mobilenet*", pretrained=True):
        published = timm.models.get_pretrained_cfg(name)
        if not FAMILIES.match(name) or published.hf_hub_id is None or not published.num_classes:
            continue
        module = timm.create_model(published.architecture, num_classes=published.num_classes)
        size = published.input_size[-1]
        test_size = (published.test_input_size or published.input_size)[-1]
        yield {
            "repository": published.hf_hub_id,
            "library": "timm",
            "architecture": published.architecture,
            "size": size,
            "test_size": test_size,
            "mean": list(published.mean),
            "std": list(published.std),
            "mparams": parameters(module),
            "top1": results.get((name, size)),
            "test_top1": results.get((name, test_size)),
            "classes": published.num_classes,
            "license": published.license,
        }


def google_rows() -> Iterator[dict[str, Any]]:
    """Google's repositories of transformers networks; their licence on the hub is `other`."""
    transformers = importlib.import_module("transformers")
    for repository, (version, width, size) in GOOGLE.items():
        config = getattr(transformers, f"MobileNetV{version}Config")(depth_multiplier=width, num_labels=1001)
        module = getattr(transformers, f"MobileNetV{version}ForImageClassification")(config)
        yield {
            "repository": repository,
            "library": "transformers",
            "architecture": f"mobilenet_v{version}",
            "size": size,
            "test_size": size,
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "mparams": parameters(module),
            "top1": None,
            "test_top1": None,
            "classes": 1001,
            "license": "other",
        }


def parameters(module: Any) -> float:
    """Parameters in millions, without the statistics of batch norms."""
    return round(float(sum(one.numel() for one in module.parameters())) / 1e6, 3)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="timm's results-imagenet.csv")
    rows = [*timm_rows(read_results(parser.parse_args().results)), *google_rows()]
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    TABLE.write_text(f"[\n{lines}\n]\n", "utf-8")


if __name__ == "__main__":
    main()
