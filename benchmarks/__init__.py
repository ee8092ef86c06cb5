"""One module per comparison, run by `make bench-NAME`, writing `docs/results/bench_NAME.json`."""

import polyglance  # noqa: F401  # before torch, as the command does: it sets how OpenMP's threads wait
