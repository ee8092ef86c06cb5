"""One module per table: `python -m experiments.NAME`, seeded, writing `docs/results/NAME.json`."""

import polyglance  # noqa: F401  # before torch, as the command does: it sets how OpenMP's threads wait
