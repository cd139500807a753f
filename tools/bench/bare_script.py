"""The minimal script that classifies one image; `start_up.py` compares `ov-mobilenet classify` with it."""

import sys

import cv2
import numpy as np
import openvino as ov

model, image = sys.argv[1:3]
compiled = ov.Core().compile_model(model, "CPU")
layout = compiled.inputs[0].shape
nchw = layout[1] == 3
height, width = layout[2:] if nchw else layout[1:3]
pixels = cv2.resize(cv2.imread(image), (width, height)).astype(np.float32)[None]
scores = compiled(pixels.transpose(0, 3, 1, 2) if nchw else pixels)[0][0]
for class_id in np.argsort(-scores)[:5]:
    print(class_id, scores[class_id])
