"""Languages added to a finished model."""
