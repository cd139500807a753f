"""Model descriptions in the Open Model Zoo's schema, read into frozen values."""
