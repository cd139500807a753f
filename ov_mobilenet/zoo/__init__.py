"""What a model is: descriptions in the Open Model Zoo's schema, read into frozen values."""
