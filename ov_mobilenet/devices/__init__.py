"""Devices: names, rules, settings, properties and the cache of compiled models."""
