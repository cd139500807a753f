"""The Open Inference Protocol as JSON and binary tensors, and image files, over HTTP."""
