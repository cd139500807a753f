"""From an image file to a frame at the network's input size."""
