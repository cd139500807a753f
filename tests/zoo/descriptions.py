"""A valid description as text, for tests that change one detail of it."""

from __future__ import annotations

from typing import Protocol

from ov_mobilenet.zoo.model import ModelConfig

MODEL_YML = f"""\
description: A small network.
task_type: classification
files:
  - name: net.onnx
    size: 1234
    checksum: {"ab" * 48}
    source: https://example.org/net.onnx
  - name: extra/archive.tgz
    size: 99
    checksum: {{$type: sha256, value: {"cd" * 32}}}
    source: [https://a.example.org/archive.tgz, https://b.example.org/archive.tgz]
    original_source: {{$type: http, url: https://c.example.org/archive.tgz}}
postprocessing:
  - $type: unpack_archive
    format: gztar
    file: extra/archive.tgz
  - $type: regex_replace
    file: script.py
    pattern: 'a+'
    replacement: b
framework: onnx
input_info:
  - name: data
    shape: [1, 3, 224, 224]
    layout: NCHW
model_optimizer_args:
  - --input_model=$dl_dir/net.onnx
license: https://example.org/LICENSE
ov_mobilenet:
  classes: 1000
  output: logits
  gflops: 0.5
  accuracy: {{top1: 0.7, top5: 0.9}}
  labels: imagenet_1000_classes
"""

ACCURACY_CHECK_YML = """\
models:
  - name: net
    launchers:
      - framework: openvino
        adapter: classification
    datasets:
      - name: imagenet_1000_classes
        reader: pillow_imread
        preprocessing:
          - {type: resize, size: 256, aspect_ratio_scale: greater, use_pillow: true}
          - {type: crop, size: 224}
          - type: normalization
            mean: 127.5
            std: (58.395, 57.12, 57.375)
          - {type: rgb_to_bgr}
        metrics:
          - {type: accuracy, top_k: 1, reference: 0.7}
          - {type: accuracy, top_k: 5, reference: 0.9}
"""


class DescribeModel(Protocol):
    """Write a description into `tmp_path / name` and load it; `accuracy_check` None leaves that file out."""

    def __call__(
        self, model: str = MODEL_YML, accuracy_check: str | None = ACCURACY_CHECK_YML, *, name: str = "net"
    ) -> ModelConfig: ...
