"""Captions of photographs in fifteen languages, put together from phrases that mean the same in all of them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("phrases.tsv")
_PARTS: Final = ("subject", "action", "place")
_PLACE_FIRST: Final = ("zh", "ja", "ko", "tr", "hi", "bn")
_NO_SPACES: Final = ("zh", "ja")
_WITH_WOMEN: Final = {
    *("a woman", "a girl", "a young woman", "an old woman", "a little girl", "a bride", "a cow"),
    *("a woman in a blue dress", "a girl with long hair", "a woman with sunglasses"),
}
"""Subjects with which the verb agrees in Arabic and in Hindi."""
_FEMININE_IN: Final = {"ar": {"a family", "a group of people"}, "hi": {"a crowd", "a cat"}}

Phrase = Mapping[str, str]
"""The words in each language."""


@dataclass(frozen=True)
class PhotoCaption:
    """A subject, what it does, and where; the place may be missing."""

    subject: Phrase
    action: Phrase
    place: Phrase | None

    def said(self, language: str) -> str:
        action = _agreeing(self.action[language], self.subject["en"], language)
        behind = [action] + ([self.place[language]] if self.place else [])
        if language in _PLACE_FIRST:
            behind.reverse()
        return ("" if language in _NO_SPACES else " ").join([self.subject[language], *behind])


@cache
def _phrases() -> dict[str, list[Phrase]]:
    head, *rows = [line.split("\t") for line in FILE.read_text(encoding="utf-8").splitlines()]
    found: dict[str, list[Phrase]] = {part: [] for part in _PARTS}
    for part, *words in rows:
        found[part].append(dict(zip(head[1:], words, strict=True)))
    return found


def sample_captions(count: int, seed: int) -> Sequence[PhotoCaption]:
    """Draws captions. A quarter of them name no place."""
    rng = random.Random(f"photo captions {seed}")
    subjects, actions, places = (_phrases()[part] for part in _PARTS)
    return [
        PhotoCaption(rng.choice(subjects), rng.choice(actions), rng.choice(places) if rng.random() < 0.75 else None)
        for _ in range(count)
    ]


def _agreeing(action: str, subject: str, language: str) -> str:
    """Returns an action in the gender of its subject; all but Arabic and Hindi have the same form for both."""
    if subject not in _WITH_WOMEN | _FEMININE_IN.get(language, set()):
        return action
    if language == "ar":
        return "ت" + action.removeprefix("ي")
    if language == "hi" and action.endswith("ा है"):
        return action.removesuffix("ा है") + "ी है"
    return action
