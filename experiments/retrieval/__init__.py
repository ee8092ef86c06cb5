"""Retrieve Fast, Rerank Smart (arXiv:2103.11920), on the scene world."""
