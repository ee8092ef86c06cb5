"""Retrieval trained on captions: twin encoder, cross-encoder, or both (arXiv:2103.11920)."""
