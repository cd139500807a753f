"""Hugging Face repositories as a source: from a repository, or its snapshot on disk, to a description."""
