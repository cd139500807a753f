"""How well a model does: accuracy on labelled pictures, and models side by side."""
