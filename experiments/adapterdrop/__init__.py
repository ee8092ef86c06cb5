"""AdapterDrop's tables (arXiv:2010.11918) on the scene world."""
