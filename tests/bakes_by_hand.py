"""Bake a normalisation as users of OpenVINO do it, without our converter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ov_mobilenet.diagnosis.candidates import Candidate, named_candidates


def named(name: str, order: str) -> Candidate:
    return next(one for one in named_candidates() if (one.name, one.channel_order) == (name, order))


def with_pre_post_processor(
    network: Any, candidate: Candidate, xml: Path, *, own: str, layout: str, input_type: str, fp16: bool = True
) -> Path:
    """Bake a candidate for BGR frames with OpenVINO's PrePostProcessor.

    Args:
        network: what `openvino.convert_model` takes.
        own: layout of the network.
        layout: layout of the frames.
        input_type: f32 or u8.
        fp16: whether the weights are stored as float16, which is OpenVINO's default.
    """
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    processor = PrePostProcessor(ov.convert_model(network))
    processor.input().tensor().set_element_type(ov.Type.u8 if input_type == "u8" else ov.Type.f32)
    processor.input().tensor().set_layout(ov.Layout(layout))
    processor.input().model().set_layout(ov.Layout(own))
    steps = processor.input().preprocess()
    if input_type == "u8":
        steps.convert_element_type(ov.Type.f32)
    if candidate.channel_order == "RGB":
        steps.reverse_channels()
    if candidate.mean:
        steps.mean(list(candidate.mean) * (3 // len(candidate.mean)))
    if candidate.scale:
        steps.scale(list(candidate.scale) * (3 // len(candidate.scale)))
    ov.save_model(processor.build(), xml, compress_to_fp16=fp16)
    return xml


def normalised(frames: np.ndarray, candidate: Candidate) -> np.ndarray:
    """uint8 (N, H, W, 3) BGR frames as a candidate's float32 values, (N, 3, H, W), computed in float64."""
    x = frames.astype(np.float64)
    if candidate.channel_order == "RGB":
        x = x[..., ::-1]
    x = (x - np.array(candidate.mean or 0.0)) / np.array(candidate.scale or 1.0)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32)
