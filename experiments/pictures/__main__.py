"""Fetches pictures of other people's hands from packages, for experiments and training.

    python -m experiments.pictures [NAME ...] [--folder DIR]

openclipart      pictures of Open Clip Art whose titles say something, in the public domain, with captions.jsonl in the
                 splits train, val and test, and keywords.jsonl of train alone
twitter, apple   the bundled emoji as other artists drew them, for measurements alone
fluent, fluent-flat, fxemoji, noto-v1, emojione
                 the bundled emoji as further artists drew them, for training alone
flags            flags of countries and territories, with their names in names.jsonl, for training alone
photographs      desktop backgrounds that are photographs, with their authors and licences in credits.jsonl, for
                 training alone

Without a name, all of them. A folder that is there already is left as it is.
"""

import sys

from experiments.fetched import fetch
from experiments.pictures.folders import PICTURES, default_root, make

if __name__ == "__main__":
    sys.exit(fetch(__doc__, PICTURES, default_root(), make))
