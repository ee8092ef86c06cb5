"""Measures what xGQA's real questions reveal without their pictures (arXiv:2109.06082)."""
