"""Pictures in, classifications out."""
