"""What the text side reads: texts in fifteen languages, and for each the text whose vector it is to have.

No text is about a picture that it is tested on: no name of an emoji that is held out in its language, no keyword of an
emoji, and no title of clip art that is held out. Single words, countries and keywords of other pictures may be the same
words.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from torch import Tensor

from experiments.bundled_model.phrases import sample_captions
from experiments.bundled_model.words import LANGUAGES, Speech, frequencies
from experiments.pictures.flags import Flag
from polyglance.data.captions import of_split, read_captions
from polyglance.data.gallery import gallery
from polyglance.languages import DEMO_LANGUAGES
from polyglance.scenes.captions import sample_caption
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import sample_question
from polyglance.scenes.sampling import sample_scene

CLASS_CAPTIONS: Final = Path(__file__).with_name("class_captions.txt")


@dataclass(frozen=True)
class Lesson:
    """Texts of one meaning.

    kind: lessons of one kind and language are centred together. taught: the text that the teacher reads. texts: those
    that are to have its vector. language: of `taught`.
    """

    kind: str
    language: str
    taught: str
    texts: tuple[str, ...]


def class_captions(names: Sequence[str]) -> list[str]:
    """Returns for each class of ImageNet what a caption of a photograph might say in which it is seen.

    names: of the classes, for those without a caption.
    """
    said = [f"a photo of a {name.split(',')[0]}" for name in names]
    for line in CLASS_CAPTIONS.read_text(encoding="utf-8").splitlines():
        classes, _, caption = line.partition(" ")
        first, _, last = classes.partition("-")
        for number in range(int(first), int(last or first) + 1):
            said[number] = caption
    return said


def photo_lessons(count: int, seed: int) -> Iterator[Lesson]:
    for caption in sample_captions(count, seed):
        yield Lesson("photos", "en", caption.said("en"), tuple(caption.said(code) for code in LANGUAGES))


def scene_lessons(count: int, seed: int) -> Iterator[Lesson]:
    """Captions and questions of training scenes."""
    rng = random.Random(f"scene lessons {seed}")
    for number in range(count):
        scene = sample_scene(number)
        meaning = sample_caption(scene, rng) if number % 2 else sample_question(scene, rng)[0]
        said = tuple(
            grammar(code).caption(meaning) if isinstance(meaning, tuple) else grammar(code).say(meaning)
            for code in DEMO_LANGUAGES
        )
        yield Lesson("captions" if isinstance(meaning, tuple) else "questions", "en", said[0], said)


def name_lessons() -> Iterator[Lesson]:
    """The names of emoji in all languages in which they are not held out."""
    for entry in gallery():
        names = {code: name for code, name in entry.names.items() if not entry.name_is_held_out(code)}
        if names:
            code = next(iter(names))
            yield Lesson("names", code, names[code], tuple(names.values()))


def class_lessons(names: Sequence[str]) -> Iterator[Lesson]:
    for name in names:
        for synonym in name.split(", "):
            yield Lesson("names", "en", synonym, (synonym,))
    for caption in sorted(set(class_captions(names))):
        yield Lesson("photos", "en", caption, (caption,))


def clip_art_lessons(folder: Path) -> Iterator[Lesson]:
    """Titles and keywords of the training pictures."""
    for caption in of_split(read_captions(folder / "captions.jsonl"), "train"):
        yield Lesson("names", "en", caption.caption, (caption.caption,))
    for keywords in read_captions(folder / "keywords.jsonl"):
        yield Lesson("names", "en", keywords.caption, (keywords.caption,))


def flag_lessons(flags: Sequence[Flag]) -> Iterator[Lesson]:
    """The names of countries and territories, and of their flags in English."""
    for flag in flags:
        yield Lesson("names", "en", flag.names["en"], tuple(flag.names.values()))
        of_flag = flag_of(flag.names["en"])
        yield Lesson("names", "en", of_flag, (of_flag,))


def flag_of(country: str) -> str:
    return f"flag of {country}"


def word_lessons(wheel: Path, language: str, most: int) -> Iterator[Lesson]:
    """The most frequent words of a language, one at a time."""
    for word in frequencies(wheel, language, most):
        yield Lesson("words", language, word, (word,))


@cache
def _spoken(wheel: Path, language: str) -> Speech:
    return Speech({word: share**0.75 for word, share in frequencies(wheel, language, 2000).items()})


def mixed_lessons(
    wheel: Path, language: str, words: Sequence[str], vectors: Tensor, topics: Tensor, count: int, seed: int
) -> Iterator[Lesson]:
    """Words about one thing in any order, with frequent words between them.

    words: of the language, with their unit vectors. topics: unit vectors of things that pictures show.
    """
    rng = random.Random(f"mixed lessons {language} {seed}")
    chosen = [rng.randrange(len(topics)) for _ in range(count)]
    nearest = (topics[sorted(set(chosen))] @ vectors.T).topk(min(150, len(words)), dim=1).indices.tolist()
    near = dict(zip(sorted(set(chosen)), nearest, strict=True))
    for topic in chosen:
        said = [words[number] for number in rng.sample(near[topic], min(rng.randint(1, 5), len(words)))]
        said += _spoken(wheel, language).draw(rng.randint(0, 5), rng)
        rng.shuffle(said)
        text = ("" if language in ("zh", "ja") else " ").join(said)
        yield Lesson("mixed", language, text, (text,))
