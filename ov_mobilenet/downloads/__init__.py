"""Download, verify and unpack the source files of a description."""
