"""Training of tasks as adapters in a frozen model, and of their fusions (arXiv:2005.00247, arXiv:2010.11918)."""
