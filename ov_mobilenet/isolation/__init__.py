"""Call functions on files of unknown origin in processes of their own."""
