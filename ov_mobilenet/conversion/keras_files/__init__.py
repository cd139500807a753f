"""Read Keras files, and check them before they are passed to Keras."""
