"""A fake transport, and descriptions of the files that it serves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from downloads.fake_transport import DescribeFiles, FakeTransport

from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.model import ModelConfig


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def describe_files(tmp_path: Path) -> DescribeFiles:
    def write(
        files: Mapping[str, tuple[bytes, object]], *, name: str = "net", network: str = "net.onnx", **keys: object
    ) -> ModelConfig:
        document = {
            "description": "A network.",
            "task_type": "classification",
            "framework": "onnx",
            "license": "https://example.org/LICENSE",
            "model_optimizer_args": [f"--input_model=$dl_dir/{network}"],
            "files": [
                {
                    "name": file,
                    "size": len(content),
                    "checksum": hashlib.sha384(content).hexdigest(),
                    "source": source,
                }
                for file, (content, source) in files.items()
            ],
            **keys,
        }
        folder = tmp_path / "configs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.yml").write_text(yaml.safe_dump(document))
        return load_config(folder)

    return write
