"""From an image file to a frame of the network's input size."""
