"""Export of the sample network, one module per framework, and functions that run the exported files."""
