"""Fetches pictures of other people's hands from packages, for experiments and training.

    python -m experiments.pictures [NAME ...] [--folder DIR]

openclipart      pictures of Open Clip Art whose titles say something, in the public domain, with captions.jsonl in the
                 splits train, val and test, and keywords.jsonl of train alone
twitter, apple   the bundled emoji as other artists drew them, for measurements alone

Without a name, all of them. A folder that is there already is left as it is.
"""

import argparse
import sys
from pathlib import Path

from experiments.pictures.folders import PICTURES, default_root, make
from polyglance.errors import PolyglanceError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--folder", type=Path, default=default_root(), metavar="DIR", help="[default: %(default)s]")
    arguments = parser.parse_args()
    try:
        for name in arguments.names or PICTURES:
            print(make(name, arguments.folder))
    except PolyglanceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
