"""Keras files, judged before Keras sees them: what they hold, which network fits, what their configuration names."""
