"""What everybody writes first: one picture after another, one request. Prints pictures a second, warm files."""

import sys
import time
from pathlib import Path

import numpy as np
import openvino as ov

from ov_mobilenet.conversion.ir import read_record
from ov_mobilenet.runtime.geometry import apply
from ov_mobilenet.runtime.images import read_image

xml, files = sys.argv[1], sys.argv[2:]
network = ov.Core().read_model(xml)
geometry = read_record(network, xml).geometry
compiled = ov.Core().compile_model(network, "CPU")
nchw = compiled.inputs[0].shape[1] == 3
for turn in range(2):
    begun, pictures = time.perf_counter(), files if turn else files[:50]
    for file in pictures:
        frame = apply(geometry, read_image(Path(file), geometry.reader))[None].astype(np.float32)
        scores = compiled(np.ascontiguousarray(frame.transpose(0, 3, 1, 2)) if nchw else frame)[0][0]
        best = np.argsort(-scores)[:5]
print(len(files) / (time.perf_counter() - begun))
