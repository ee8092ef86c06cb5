"""Training of the twin encoder, the cross-encoder or both on captions (arXiv:2103.11920)."""
