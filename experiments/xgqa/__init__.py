"""Visual questions in languages that a model was not trained in (xGQA, arXiv:2109.06082), on the scene world."""
