"""Call functions on files of unknown origin in child processes."""
