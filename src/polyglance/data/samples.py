"""The demo's sample pictures: photographs, clip art of two artists, and emoji of another artist than the gallery's.

They come from packages whose licences allow their redistribution, scaled down. `credits.jsonl` in their folder gives
each picture's title, author, licence and source.
"""

from importlib.resources import files
from pathlib import Path


def samples_folder() -> Path:
    """Returns the folder of the sample pictures, in `photographs/`, `clip-art/` and `emoji/`, with their credits."""
    return Path(str(files("polyglance.data"))) / "samples"
