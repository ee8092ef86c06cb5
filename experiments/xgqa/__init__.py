"""Visual questions in other languages than those of training (xGQA, arXiv:2109.06082), on the scene world."""
