"""Every language says every meaning, says it as people would, and never says two meanings alike."""

import importlib
from collections.abc import Iterator
from itertools import pairwise
from typing import get_args

import pytest

from polyglance.errors import ConfigurationError
from polyglance.languages import DEMO_LANGUAGES
from polyglance.scenes import meaning as m
from polyglance.scenes import world
from polyglance.scenes.grammar import codes, grammar, grammars
from polyglance.scenes.meaning import Phrase
from polyglance.scenes.questions import ANSWERS

Meaning = m.Caption | m.Fragment | m.Question

LANGUAGES = pytest.mark.parametrize("code", codes())


def gold(code: str) -> list[tuple[Meaning, str]]:
    sentences: list[tuple[Meaning, str]] = importlib.import_module(f"tests.scenes.gold.{code}").GOLD
    return sentences


def rendered(code: str, meaning: Meaning) -> str:
    return grammar(code).caption(meaning) if isinstance(meaning, tuple) else grammar(code).say(meaning)


def narrowings(noun: str) -> Iterator[Phrase]:
    """The noun alone and with all that may narrow it down."""
    colours = (None, *world.COLOURS) if world.CATEGORY_OF.get(noun, noun) == world.SHAPE else (None,)
    for size in (None, *world.SIZES):
        for colour in colours:
            yield Phrase(noun, size, colour)
        for plate in world.COLOURS:
            yield Phrase(noun, size, colours[-1], plate)


def about_one(noun: str) -> Iterator[m.Fragment | m.Question]:
    """What can be said of any kind or category."""
    thing = Phrase(noun)
    for count in range(2, 7):
        yield m.ShowsCount(count, noun)
    for relation in world.RELATIONS:
        yield m.WhatIsRelated(relation, thing)
    for colour in world.COLOURS:
        yield m.IsPlateColour(thing, colour)
    for size in world.SIZES:
        yield m.IsSize(thing, size)
    yield m.HowMany(noun)
    yield m.WhatPlateColour(thing)
    yield m.ChoosePlateColour(thing, *world.COLOURS[:2])
    yield m.ChooseSize(thing)


def about_two(first: str, second: str) -> Iterator[m.Fragment | m.Question]:
    """What can be said of any two kinds or categories."""
    pair = Phrase(first), Phrase(second)
    for relation in world.RELATIONS:
        yield m.ShowsRelated(pair[0], relation, pair[1])
        yield m.IsRelated(pair[0], relation, pair[1])
    for size in world.SIZES:
        yield m.AreBothSize(*pair, size)
    yield m.ShowsBetween(*pair, Phrase("star", "small", "red", "blue"))
    yield m.IsBetween(Phrase("star", "small", "red", "blue"), *pair)
    yield m.ChooseRelation(*pair, vertical=False)
    yield m.ChooseRelation(*pair, vertical=True)
    for template in (m.AreBoth, m.IsEither, m.IsWithout, m.ArePlatesSameColour, m.AreSameSize, m.WhichIsLarger):
        yield template(*pair)


def about_shapes(first: str, second: str) -> Iterator[m.Question]:
    thing = Phrase(first)
    for colour in world.COLOURS:
        yield m.IsColour(thing, colour)
    yield m.WhatColour(thing)
    yield m.ChooseColour(thing, *world.COLOURS[:2])
    yield m.AreSameColour(thing, Phrase(second))


def about_categories(first: str, second: str) -> Iterator[m.Question]:
    for thing in narrowings(first):
        yield m.IsThereCategory(thing)
    for plate in world.COLOURS:
        yield m.ChooseCategoryOnPlate(plate, first, second)
    yield m.WhichOfCategory(first)
    yield m.AreThereMore(first, second)


def everything() -> Iterator[m.Fragment | m.Question]:
    """Meanings of every template over the whole vocabulary, no two of them the same."""
    for noun in (*world.KINDS, *world.CATEGORIES):
        yield from (m.Shows(thing) for thing in narrowings(noun))
        yield from about_one(noun)
    for kind, other in pairwise((*world.KINDS, world.KINDS[0])):
        yield from (m.IsThere(thing) for thing in narrowings(kind))
        yield from about_two(kind, other)
        yield m.ChooseKind(kind, other)
    for category, other in pairwise((*world.CATEGORIES, world.CATEGORIES[0])):
        yield from about_two(category, other)
        yield from about_categories(category, other)
    shapes = tuple(world.KINDS_BY_CATEGORY[world.SHAPE])
    for shape, other in pairwise((*shapes, shapes[0])):
        yield from about_shapes(shape, other)
    for background, other in pairwise((*world.BACKGROUNDS, world.BACKGROUNDS[0])):
        yield from (m.ShowsBackground(background), m.IsBackground(background), m.ChooseBackground(background, other))
    for plate in world.COLOURS:
        yield from (m.WhatIsOnPlate(plate), m.WhatCategoryOnPlate(plate))
    yield m.WhatBackground()


@LANGUAGES
def test_gold_covers_every_template(code: str) -> None:
    parts = [part for meaning, _ in gold(code) for part in (meaning if isinstance(meaning, tuple) else (meaning,))]
    assert len(gold(code)) >= 40
    assert {type(part) for part in parts} == {*get_args(m.Fragment), *m.Question.__subclasses__()}
    assert any(isinstance(meaning, tuple) for meaning, _ in gold(code))


@LANGUAGES
def test_gold_is_rendered_exactly(code: str) -> None:
    assert [rendered(code, meaning) for meaning, _ in gold(code)] == [sentence for _, sentence in gold(code)]


@LANGUAGES
def test_no_two_meanings_sound_alike(code: str) -> None:
    said: dict[str, m.Fragment | m.Question] = {}
    for meaning in everything():
        sentence = grammar(code).say(meaning)
        assert sentence not in said, f"{said[sentence]} and {meaning} are both {sentence!r}"
        assert sentence == " ".join(sentence.split(" ")).strip()
        assert "  " not in sentence
        said[sentence] = meaning


def test_everything_holds_every_template() -> None:
    assert {type(meaning) for meaning in everything()} == {*get_args(m.Fragment), *m.Question.__subclasses__()}


@LANGUAGES
def test_a_language_knows_its_code(code: str) -> None:
    assert grammar(code).code == code


def test_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as error:
        grammar("tlh")
    assert all(code in str(error.value) for code in codes())


def test_a_language_beyond_the_demo_is_there_by_asking_alone() -> None:
    assert list(grammars()) == sorted(DEMO_LANGUAGES)
    assert "fr" in codes()


@LANGUAGES
def test_every_answer_but_a_number_has_a_word_of_its_own(code: str) -> None:
    words = grammar(code).answers
    assert set(words) == (set() if code == "en" else {answer for answer in ANSWERS if not answer.isdigit()})
    assert len(set(words.values())) == len(words)
    assert all(word == word.strip() for word in words.values())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("de", "Fisch rot klein links darüber Wiese ja"),
        ("pt", "peixe vermelho pequeno à esquerda acima campo sim"),
        ("ru", "рыба красный маленький слева сверху луг да"),
        ("id", "ikan merah kecil di sebelah kiri di atas padang rumput ya"),
        ("bn", "মাছ লাল ছোট বাঁ দিকে উপরে ঘাসের মাঠ হ্যাঁ"),
        ("ko", "물고기 빨간색 작습니다 왼쪽 위쪽 풀밭 예"),
        ("zh", "鱼 红色 小 左边 上方 草地 是"),
        ("fr", "poisson rouge petit à gauche au-dessus prairie oui"),
    ],
)
def test_answers_as_they_stand_alone(code: str, said: str) -> None:
    answers = ("fish", "red", "small", "left", "above", "meadow", "yes")
    assert " ".join(grammar(code).answers[answer] for answer in answers) == said


@pytest.mark.parametrize(
    ("code", "question", "answer", "said"),
    [
        ("pt", "Qual é a cor da estrela?", "red", "vermelha"),
        ("pt", "Qual é a cor do prato embaixo da estrela?", "red", "vermelho"),
        ("pt", "A girafa no prato azul é pequena ou grande?", "small", "pequena"),
        ("fr", "De quelle couleur est l'étoile\u202f?", "green", "verte"),
        ("fr", "De quelle couleur est le cercle sur l'assiette noire ?", "green", "vert"),
        ("fr", "De quelle couleur est l'assiette sous le chien\u202f?", "white", "blanche"),
        ("ru", "Какого цвета звезда?", "red", "красного"),
        ("ru", "Звезда красная или синяя?", "red", "красная"),
        ("ru", "Сердце на тарелке зелёное?", "green", "зелёное"),
        ("ru", "Собака маленькая или большая?", "small", "маленькая"),
        ("pt", "E aí?", "red", "vermelho"),
        ("fr", "De quelle couleur est l'étoile\u202f?", "dog", "chien"),
        ("de", "Welche Farbe hat der Stern?", "red", "rot"),
    ],
)
def test_answers_agree_with_the_noun_that_was_asked_about(code: str, question: str, answer: str, said: str) -> None:
    assert grammar(code).answer(answer, question) == said


@LANGUAGES
def test_the_background_comes_first(code: str) -> None:
    things = (m.Shows(Phrase("dog")), m.ShowsCount(2, "apple"))
    background = m.ShowsBackground("night")
    first, last = (grammar(code).caption(caption) for caption in ((background, *things), (*things, background)))
    assert first == last
    assert first.casefold().startswith(grammar(code).say(background).casefold())
