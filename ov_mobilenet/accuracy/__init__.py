"""Accuracy: datasets, the protocol, networks side by side, verification against the source framework."""
