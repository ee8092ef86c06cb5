"""Flags of countries and territories, with their names in the languages of the bundled model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from experiments.bundled_model.words import LANGUAGES
from experiments.pictures.drawing import draw_svg
from experiments.pictures.emoji_artists import svg_of
from experiments.pictures.packages import files_of
from polyglance.errors import DataError

_SHAPE: Final = "-4x3"
_ALL: Final = "names.jsonl"


@dataclass(frozen=True)
class Flag:
    """A flag. names: of its country or territory, by language, English first."""

    path: Path
    names: Mapping[str, str]


def write_flags(drawings: Path, locales: Path, folder: Path) -> None:
    """Writes `folder/CODE.png` for each flag of a territory that Unicode CLDR names, and `names.jsonl`.

    drawings: the file of Iconify's package of `flag-icons`. locales: the file of the package of Unicode CLDR with names
    of territories.

    Raises:
        DataError: a package does not hold them.
    """
    icons = _read(drawings, "icons.json")
    said = {code: _territories(locales, code) for code in LANGUAGES}
    codes = [name.removesuffix(_SHAPE).upper() for name in sorted(icons["icons"]) if name.endswith(_SHAPE)]
    lines = []
    for code in codes:
        if code in said["en"]:
            image = f"{code.lower()}.png"
            (folder / image).write_bytes(draw_svg(svg_of(icons, f"{code.lower()}{_SHAPE}")))
            names = {language: names[code] for language, names in said.items() if code in names}
            lines.append(json.dumps({"image": image, "names": names}, ensure_ascii=False))
    (folder / _ALL).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_flags(folder: Path) -> list[Flag]:
    """Reads what `write_flags` wrote."""
    lines = map(json.loads, (folder / _ALL).read_text(encoding="utf-8").splitlines())
    return [Flag(folder / line["image"], line["names"]) for line in lines]


def _territories(locales: Path, code: str) -> dict[str, str]:
    found: dict[str, str] = _read(locales, f"main/{code}/territories.json")["main"][code]["localeDisplayNames"][
        "territories"
    ]
    return found


def _read(package: Path, name: str) -> dict[str, Any]:
    content = dict(files_of(package, lambda other: other == name)).get(name)
    if content is None:
        raise DataError(f"{package}: expected a package with {name}, but it has none")
    found: dict[str, Any] = json.loads(content)
    return found
