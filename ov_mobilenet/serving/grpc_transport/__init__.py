"""The Open Inference Protocol over gRPC, with health service and reflection."""
