"""The Open Inference Protocol without its transports: requests, answers and documents as values."""
