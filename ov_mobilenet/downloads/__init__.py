"""From a description to verified bytes on disk."""
