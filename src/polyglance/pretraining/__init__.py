"""The recipe that trains the bundled model `scenes-mini` from scratch, in five stages."""
