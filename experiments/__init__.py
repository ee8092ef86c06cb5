"""One module for each table: `python -m experiments.NAME`, seeded, writing `docs/results/NAME.json`."""
