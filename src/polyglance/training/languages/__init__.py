"""Adding languages to a trained model."""
