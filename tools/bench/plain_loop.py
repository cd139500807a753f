"""The simplest loop: one image after another, one infer request. Prints images per second, with cached files."""

import sys
import time
from pathlib import Path

import numpy as np
import openvino as ov

from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.zoo.geometry import parse_geometry

xml, geometry, files = sys.argv[1], parse_geometry(sys.argv[2]), sys.argv[3:]
compiled = ov.Core().compile_model(xml, "CPU")
nchw = compiled.inputs[0].shape[1] == 3
for images in (files[:50], files):  # `classify_command.WARM_UP`
    begun = time.perf_counter()
    for file in images:
        frame = apply_geometry(geometry, read_image(Path(file), geometry.reader))[None].astype(np.float32)
        scores = compiled(np.ascontiguousarray(frame.transpose(0, 3, 1, 2)) if nchw else frame)[0][0]
        best = np.argsort(-scores)[:5]
print(len(files) / (time.perf_counter() - begun))
