"""Tasks as adapters in a frozen model, and fusions of them (arXiv:2005.00247, arXiv:2010.11918)."""
