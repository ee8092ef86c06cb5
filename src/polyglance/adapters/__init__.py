"""Adapters: small trained modules in a frozen encoder, and which of them act on which row of a batch."""
