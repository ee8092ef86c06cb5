"""The normalisation of every text before a model reads it."""

from typing import Final

_DROPPED: Final = "\u00ad\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
"""Characters that steer where a line breaks and which way it runs. The two joiners are part of how words and emoji are
spelled, and stay."""
_CONTROLS: Final = [*range(0x20), *range(0x7F, 0xA0)]
_TABLE: Final[dict[int, str | None]] = {**dict.fromkeys(_CONTROLS, " "), **dict.fromkeys(map(ord, _DROPPED))}


def collapse_white_space(text: str) -> str:
    """Returns the words of a text with one space between them and none around them.

    Any run of white space in Unicode and of control characters counts as one space; invisible characters of layout,
    such as the zero-width space and the byte-order mark, are dropped.
    """
    return " ".join(text.translate(_TABLE).split())
