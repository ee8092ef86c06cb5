"""One module a comparison, run by `make bench-NAME`, writing `docs/results/bench_NAME.json`."""
