"""Retrieve Fast, Rerank Smart (arXiv:2103.11920) on the photographs of Flickr8k."""
