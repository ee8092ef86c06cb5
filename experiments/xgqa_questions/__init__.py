"""What xGQA's real questions tell without their pictures (arXiv:2109.06082)."""
