"""Connections of HTTP/1.1: uvicorn's protocol with limits of size, number and time, and TLS."""
