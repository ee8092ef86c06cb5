"""The recipe that trains the bundled model from scratch, in five stages."""
