"""The models of a server: their names, files, states and versions."""
