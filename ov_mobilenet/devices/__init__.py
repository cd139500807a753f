"""Devices: names, settings, limits of each device, compiling for a device, and the cache of compiled models."""
