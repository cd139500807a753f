"""What a model does, in numbers: accuracy, networks side by side, speed."""
