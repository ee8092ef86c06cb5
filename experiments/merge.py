"""Merges the rows of processes that measured parts of one experiment.

    python -m experiments.merge FILE... --into docs/results/NAME.json

A row that measures the same as one of an earlier file replaces it. The files stay as they are.
"""

import argparse
import sys
from pathlib import Path

from experiments.results import Results, keys_of
from polyglance.errors import PolyglanceError


def merge(files: list[Path], into: Path) -> Results:
    """Returns the merged rows, which are written.

    Raises ConfigurationError if a file is missing, or the files are of different experiments.
    """
    results = Results(into.stem, into.parent, keys_of(into if into.exists() else files[0]))
    for file in files:
        results.merge(Results(file.stem, file.parent, keys_of(file)))
    results.write()
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--into", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    try:
        results = merge(arguments.files, arguments.into)
    except PolyglanceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{results.path}: {len(results.rows):,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
