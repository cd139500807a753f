"""Accuracy: labelled datasets, top-1 and top-5, comparison of several networks, verification of a conversion."""
