"""What a model finds in pictures and words that people made: the measures for an edition of the bundled model."""
