"""From an IR and images to results: classifier, infer queue and stream."""
