"""Tuning: the search for the best device settings, and the profile it writes."""
