"""What a model does on a device, in numbers."""
