"""The Open Inference Protocol over REST and gRPC, image files over HTTP, metrics and a live page."""
