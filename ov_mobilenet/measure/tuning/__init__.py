"""The search for the settings that suit a model and a device best."""
