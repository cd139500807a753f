"""One module per scenario; its function `start` returns the function that runs a round."""
