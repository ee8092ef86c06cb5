"""The families of models: how each reads, and what it shares above the cut."""
