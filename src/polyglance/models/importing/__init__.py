"""Published checkpoints turned into models of this project."""
