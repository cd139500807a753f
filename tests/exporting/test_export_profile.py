"""A tune profile becomes the settings of the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from exporting.ovms_rules import check_config
from known_network import Known

import ov_mobilenet as ovm
from ov_mobilenet.ir.files import ir_digest, open_ir
from ov_mobilenet.ir.identity import network_identity
from ov_mobilenet.tuning.profile_writing import save_profile


def profile(xml: Path, **settings: Any) -> ovm.Profile:
    """A profile for an IR, tuned on a device that this machine does not have."""
    identity = msgspec.to_builtins(network_identity(open_ir(xml)))
    facts = {
        "schema_version": 2,
        "created": "2026-01-31T12:00:00Z",
        "model": {"name": xml.stem, "xml": str(xml), "digest": ir_digest(xml), "identity": identity},
        "device": {"name": "GPU.7", "full_name": "none"},
        "versions": {"openvino": "0", "ov_mobilenet": "0"},
        "settings": settings,
        "objective": "throughput",
        "mode": "inference",
        "latency_budget_ms": None,
        "noise": 0.01,
        "gain": None,
        "measurements": [],
    }
    return msgspec.convert(facts, ovm.Profile)


def config_of(export: ovm.OvmsExport) -> dict[str, Any]:
    document = json.loads(export.config.read_text("utf-8"))
    check_config(document)
    config: dict[str, Any] = document["model_config_list"][0]["config"]
    return config


def test_the_settings_of_a_profile_are_in_config_json(known: Known, tmp_path: Path) -> None:
    tuned = profile(known.xml, batch_size=8, streams=2, threads=4, nireq=6, inference_precision="f32")
    save_profile(tuned, tmp_path / "tuned.yml")
    config = config_of(ovm.export_ovms(known.xml, tmp_path / "out", profile=tmp_path / "tuned.yml"))
    assert config["plugin_config"] == {
        "NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "4", "INFERENCE_PRECISION_HINT": "f32",
    }  # fmt: skip
    assert (config["nireq"], config["target_device"], config["shape"]) == (6, "GPU.7", "(1:8,32,32,3)")
    config = config_of(ovm.export_ovms(known.xml, tmp_path / "two", profile=tuned, batch=2))
    assert (config["batch_size"], "shape" in config) == (2, False)
    config = config_of(ovm.export_ovms(known.xml, tmp_path / "baked", profile=tuned, bake_geometry=True))
    assert config["batch_size"] == 1
    hinted = profile(known.xml, batch_size=1, hint="latency")
    config = config_of(ovm.export_ovms(known.xml, tmp_path / "hint", profile=hinted))
    assert config["plugin_config"] == {"PERFORMANCE_HINT": "LATENCY"}
    assert "nireq" not in config


def test_a_profile_that_does_not_fit(known: Known, tmp_path: Path) -> None:
    tuned = profile(known.xml, batch_size=8)
    with pytest.raises(ovm.UsageError, match="the device is given twice"):
        ovm.export_ovms(known.xml, tmp_path / "out", profile=tuned, device="CPU")
    with pytest.raises(ovm.UsageError, match="profile is for a single model"):
        ovm.export_ovms({"a": known.xml, "b": known.xml}, tmp_path / "out", profile=tuned)
    assert tuned.model.identity is not None
    identity = msgspec.structs.replace(tuned.model.identity, weights="0" * 16)
    other = msgspec.structs.replace(tuned, model=msgspec.structs.replace(tuned.model, identity=identity))
    with pytest.raises(ovm.ConfigError, match="another network; different weights"):
        ovm.export_ovms(known.xml, tmp_path / "out", profile=other)
    assert not (tmp_path / "out").exists()
