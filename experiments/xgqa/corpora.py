"""Sentences to learn a language from: captions of scenes, and text that people wrote.

No sentence is a question or a caption that models are measured with, whatever its case, its spaces and its last stop.
"""

import random
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, Literal

from experiments.editions.collections import shared_data
from polyglance.data.captions import of_split, read_captions
from polyglance.data.gallery import gallery
from polyglance.errors import DataError
from polyglance.languages import DEMO_LANGUAGES
from polyglance.scenes import meaning as m
from polyglance.scenes.grammar import grammar
from polyglance.scenes.make import scene_captions, scene_questions
from polyglance.scenes.sampling import FIRST_SEED, Scene, sample_scene
from polyglance.scenes.truth import SceneIndex

Split = Literal["dev", "test"]

SOURCE_LANGUAGE, NINTH = "en", "fr"
TARGETS = tuple(code for code in DEMO_LANGUAGES if code != SOURCE_LANGUAGE)
PHOTOGRAPHS: Final = ("de", "fr", "zh")
"""The languages in which people described the photographs of Flickr8k."""
FIRST_PICTURE: Final[dict[Split, int]] = {"dev": FIRST_SEED["val"] + 500_000, "test": FIRST_SEED["test"] + 500_000}
"""The first scene of the development pictures and of the test pictures. Few-shot training uses the first scenes of the
val range. The first scenes of the test range took part in choices until November 2026."""

Meaning = m.Caption | m.Question


def measured_scenes(split: Split, count: int) -> list[Scene]:
    return [sample_scene(FIRST_PICTURE[split] + number) for number in range(count)]


def unique_captions(scenes: Sequence[Scene]) -> list[tuple[int, m.Caption]]:
    """Returns one caption of each scene that has one that fits no other, with the number of the scene."""
    index = SceneIndex(scenes)
    captions = (scene_captions(index, row, unique=True) for row in range(len(scenes)))
    return [(row, said[0]) for row, said in enumerate(captions) if said]


@cache
def _measured(count: int) -> list[Meaning]:
    found: list[Meaning] = []
    for split in FIRST_PICTURE:
        scenes = measured_scenes(split, count)
        found += [question for scene in scenes for question, _ in scene_questions(scene)]
        found += [caption for _, caption in unique_captions(scenes)]
    return found


@cache
def measured_sentences(code: str, count: int) -> frozenset[str]:
    """Returns the normalised questions and captions of the first `count` pictures of both splits in a language."""
    return frozenset(normalised(say(code, one)) for one in _measured(count))


def normalised(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(" .?!。？！।")


def is_measured(meaning: Meaning, count: int) -> bool:
    """Whether the sentence for a meaning is one that models are measured with, in any of the languages."""
    return any(
        normalised(say(code, meaning)) in measured_sentences(code, count) for code in (SOURCE_LANGUAGE, *TARGETS, NINTH)
    )


def require_unmeasured(sentences: Iterable[str], code: str, count: int) -> None:
    """Raises DataError if one of the sentences is one that models are measured with."""
    measured = measured_sentences(code, count)
    for sentence in sentences:
        if normalised(sentence) in measured:
            raise DataError(
                f"expected other sentences to learn from: a model is measured with the sentence {sentence!r}"
            )


@cache
def real_text(code: str, most: int) -> tuple[str, ...]:
    """Returns text that people wrote: captions of the training photographs of Flickr8k, where there are some in the
    language, and the names of emoji that are not held out. most: of the sentences, drawn at random."""
    found = [entry.names[code] for entry in gallery() if not entry.name_is_held_out(code)]
    if code in PHOTOGRAPHS:
        captions = read_captions(shared_data() / "flickr8k" / f"captions.{code}.jsonl", with_pictures=False)
        found += [one.caption for one in of_split(captions, "train")]
    found = list(dict.fromkeys(found))
    return tuple(random.Random(f"real text {code}").sample(found, min(most, len(found))))


def say(code: str, meaning: Meaning) -> str:
    speaker = grammar(code)
    return speaker.caption(meaning) if isinstance(meaning, tuple) else speaker.say(meaning)
