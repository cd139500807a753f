"""The IR that benches measure if none is given: the built-in sample model at FP16."""

from __future__ import annotations

from pathlib import Path

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE


def sample_ir(folder: Path) -> Path:
    """Convert the sample model into the folder, and return the `.xml`."""
    sources = ovm.download(ovm.find_config(SAMPLE), folder / "sources", offline=True)
    return ovm.convert(sources, folder / "ir", precisions=("FP16",))[0].xml
