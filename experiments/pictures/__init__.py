"""Pictures of other people's hands, fetched from packages for experiments and training."""
