"""Checkpoints in the layout of the Hugging Face hub: where their files are, and what all of them have in common."""
