"""Writers of the sample network, one module per framework, and the comparison of what they wrote."""
