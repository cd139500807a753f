"""From a source network to an OpenVINO IR that takes raw pixels and returns probabilities."""
