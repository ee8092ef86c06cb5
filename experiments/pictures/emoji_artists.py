"""Emoji of other artists than the gallery's, named as the gallery names its own.

Packages name them in two ways. Some have a file for each emoji, named by its code points. Those of Iconify have one
file `icons.json` for all emoji, named by the words of Unicode CLDR, of Unicode, or of the artist.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from experiments.pictures.drawing import draw_svg
from experiments.pictures.packages import files_of
from polyglance.data.gallery import GalleryEntry
from polyglance.errors import DataError

ICONIFY_NAMES: Final = Path(__file__).with_name("iconify_names.json")
"""Artist -> name of an icon -> code points, for names that neither CLDR nor Unicode has or that mean another emoji.

An icon without code points is left out: `tramcar` has lost its colours and `heartblue` lies outside of its square, and
a mark that CLDR calls red is not red.
"""


def write_emoji(
    package: Path, place: str, folder: Path, entries: Iterable[GalleryEntry], draw: Callable[[bytes], bytes] = bytes
) -> None:
    """Writes an artist's pictures of the gallery's emoji as `folder/ID.png`.

    package: the file of the artist's npm package. place: its folder with a file for each emoji. draw: makes a PNG of
    the content of such a file; the default writes files as they are.
    """
    id_of = {_spelling(entry.id): entry.id for entry in entries}
    for name, content in files_of(package, lambda name: name.startswith(place)):
        if (known := id_of.get(_spelling(Path(name).stem))) is not None:
            (folder / f"{known}.png").write_bytes(draw(content))


def write_icons(package: Path, artist: str, folder: Path, entries: Iterable[GalleryEntry]) -> None:
    """Writes an artist's pictures of the gallery's emoji as `folder/ID.png`, see `draw_svg`.

    package: the file of an npm package of Iconify. artist: its name in `ICONIFY_NAMES`.

    Raises:
        DataError: the package has no icons.
    """
    content = dict(files_of(package, lambda name: name == "icons.json")).get("icons.json")
    if content is None:
        raise DataError(f"{package}: expected a package of Iconify with icons.json, but it has none")
    icons = json.loads(content)
    aliases = {alias: of["parent"] for alias, of in icons.get("aliases", {}).items()}
    names = json.loads(ICONIFY_NAMES.read_text(encoding="utf-8")).get(artist, {})
    for known, icon in icons_of(entries, icons["icons"], aliases, names).items():
        (folder / f"{known}.png").write_bytes(draw_svg(svg_of(icons, icon)))


def icons_of(
    entries: Iterable[GalleryEntry], icons: Iterable[str], aliases: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, str]:
    """Returns the icon of each emoji that has one, by the emoji's ID. No icon is that of two emoji.

    Names are compared by their letters and digits, first with the names in English of CLDR, then with those of Unicode.

    icons: the names of all icons. aliases: other names of icons. names: name of an icon -> ID, before all comparison.
    """
    entries = list(entries)
    found = {entry.id: icon for entry in entries for icon, known in names.items() if known == entry.id}
    free = {icon for icon in icons if icon not in names}
    own = {_letters(icon): icon for icon in free}
    other = {_letters(alias): icon for alias, icon in aliases.items()}
    for name_of in (lambda entry: entry.names["en"], _unicode_name):
        for icon_of in (own, other):
            for entry in entries:
                icon = icon_of.get(_letters(name_of(entry)))
                if entry.id not in found and icon in free:
                    found[entry.id] = icon
                    free.remove(icon)
    return found


def svg_of(icons: Mapping[str, Any], name: str) -> bytes:
    """Returns an icon of Iconify as an SVG file. icons: the content of `icons.json`."""
    icon = icons["icons"][name]
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))  # 16: Iconify's default
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
    return svg.encode()


def _unicode_name(entry: GalleryEntry) -> str:
    return "" if "_" in entry.id else unicodedata.name(chr(int(entry.id, 16)), "")


def _letters(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", ascii_only.lower())


def _spelling(code_points: str) -> str:
    """Returns the code points without variation selectors, which one package names and another leaves out."""
    return "-".join(point for point in code_points.lower().replace("_", "-").split("-") if point != "fe0f")
