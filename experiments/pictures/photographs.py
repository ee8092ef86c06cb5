"""Photographs among the desktop backgrounds that Debian packages, with their authors and licences.

The other backgrounds in these packages are drawn, computed or composed, or show a texture without a subject.
"""

import json
import re
from collections.abc import Sequence
from email import message_from_string
from pathlib import Path, PurePosixPath
from typing import Final

from PIL import Image, ImageOps

from experiments.pictures.packages import files_of
from polyglance.data.images import decode
from polyglance.errors import DataError

SHORTER_SIDE: Final = 512
QUALITY: Final = 90
PHOTOGRAPHS: Final = (
    # lomiri-wallpapers-16.04
    "Bridge_by_Sander_Klootwijk.jpg",
    "Dragonfly_by_Bolly.jpg",
    "Picture_0B_by_freespace.jpg",
    "Picture_1A_by_freespace.jpg",
    "Wine_by_Jakkub_Mede.jpg",
    "aitzgorri_by_Aitzol_Berasategi.jpg",
    "free_by_Peter_Nerlich.jpg",
    "friends_by_Aitzol_Berasategi.jpg",
    "greentock_by_Peter_Nerlich.jpg",
    "life_by_Aitzol_Berasategi.jpg",
    "picosdeeuropa_by_Aitzol_Berasategi.jpg",
    "seeding_by_Clements_Engelhardt.jpg",
    "sunset_by_Aitzol_Berasategi.jpg",
    # lomiri-wallpapers-20.04
    "Kleiber_by_Lukas_Baubkus.jpg",
    # mate-backgrounds
    "Aqua.jpg",
    "Blinds.jpg",
    "Dune.jpg",
    "FreshFlower.jpg",
    "Garden.jpg",
    "GreenMeadow.jpg",
    "LadyBird.jpg",
    "RainDrops.jpg",
    "Storm.jpg",
    "TwoWings.jpg",
    "Wood.jpg",
    "YellowFlower.jpg",
)
_NOT_A_NAME: Final = re.compile(r"<[^>]*>|\b\d{4}(-\d{4})?\b[.,]?")


def write_photographs(packages: Sequence[Path], folder: Path, names: Sequence[str] = PHOTOGRAPHS) -> None:
    """Writes the photographs as JPEG with a shorter side of 512 pixels, and `credits.jsonl` with a line for each.

    A line has the `file`, its `author` and its `licence`, as the package's copyright file states them.

    packages: the files of the Debian packages. names: of the files in them.

    Raises:
        DataError: a photograph or its licence is in no package.
    """
    credit_of: dict[str, tuple[str, str]] = {}
    written = set()
    for package in packages:
        for path, content in files_of(package, lambda path: _is_copyright(path) or PurePosixPath(path).name in names):
            name = PurePosixPath(path).name
            if _is_copyright(path):
                credit_of |= credits_of(content.decode())
            else:
                picture = ImageOps.cover(decode(content), (SHORTER_SIDE, SHORTER_SIDE), Image.Resampling.LANCZOS)
                picture.save(folder / name, "JPEG", quality=QUALITY)
                written.add(name)
    if missing := [name for name in names if name not in written or name not in credit_of]:
        raise DataError(f"expected photographs and their licences in the packages, but these are missing: {missing}")
    rows = ({"file": name, "author": credit_of[name][0], "licence": credit_of[name][1]} for name in names)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "credits.jsonl").write_text("".join(lines), encoding="utf-8")


def credits_of(copyright_file: str) -> dict[str, tuple[str, str]]:
    """Returns the author and the licence of each file by its name, from a copyright file of Debian in format 1.0.

    Years and addresses are left out of the authors.
    """
    found = {}
    for paragraph in copyright_file.split("\n\n"):
        fields = message_from_string(paragraph.lstrip())
        holders = (_NOT_A_NAME.sub("", line).strip(" ,´") for line in fields.get("Copyright", "").splitlines())
        credit = "; ".join(holders), fields.get("License", "").partition("\n")[0]
        found.update({PurePosixPath(path).name: credit for path in fields.get("Files", "").split()})
    return found


def _is_copyright(path: str) -> bool:
    return path.startswith("usr/share/doc/") and path.endswith("/copyright")
