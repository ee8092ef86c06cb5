"""Samples questions about a scene with their answers, balanced within each type.

The answer to a yes-no question is drawn first, then a question with this answer, so that the words of a question say
little about its answer.
"""

import random
from collections.abc import Callable
from typing import Final

from polyglance.scenes import meaning as m
from polyglance.scenes.captions import describe
from polyglance.scenes.sampling import Scene, Thing
from polyglance.scenes.truth import Truth, anyone, between, everyone, fitting, related
from polyglance.scenes.world import BACKGROUNDS, CATEGORIES, COLOURS, KINDS, RELATIONS, SHAPE, SIZES

ANSWERS: Final = ("yes", "no", *KINDS, *CATEGORIES, *COLOURS, *SIZES, *BACKGROUNDS, *RELATIONS, *"0123456")
"""All answers, in the order of the answer head."""

STRUCTURAL_TYPES: Final = ("verify", "query", "choose", "logical", "compare", "count")


# -- answering ---------------------------------------------------------------------------------------------------------


def answer(scene: Scene, q: m.Question) -> str | None:
    """Returns the answer in English, or None if the question does not apply or viewers could disagree."""
    match q:
        case m.IsThere(thing) | m.IsThereCategory(thing):
            return _yes_no(bool(fitting(scene, thing)))
        case m.IsColour(thing, colour):
            return _yes_no(one.colour == colour) if (one := _the(scene, thing)) and one.colour else None
        case m.IsPlateColour(thing, colour):
            return _yes_no(one.plate == colour) if (one := _the(scene, thing)) and one.plate else None
        case m.IsSize(thing, size):
            return _yes_no(one.size == size) if (one := _the(scene, thing)) else None
        case m.IsRelated(thing, relation, other):
            a, b = _the(scene, thing), _the(scene, other)
            return _yes_no(related(a, relation, b)) if a and b and a is not b else None
        case m.IsBetween(thing, first, second):
            a, b, c = _the(scene, thing), _the(scene, first), _the(scene, second)
            return _yes_no(between(a, b, c)) if a and b and c and len({id(a), id(b), id(c)}) == 3 else None
        case m.IsBackground(background):
            return _yes_no(scene.background == background)
        case m.WhatColour(thing):
            return one.colour if (one := _the(scene, thing)) else None
        case m.WhatPlateColour(thing):
            return one.plate if (one := _the(scene, thing)) else None
        case m.WhatIsRelated(relation, other):
            return _only_related(scene, relation, one) if (one := _the(scene, other)) else None
        case m.WhatIsOnPlate(plate):
            return one.kind if (one := _on_plate(scene, plate)) else None
        case m.WhichOfCategory(category):
            return one.kind if (one := _the(scene, m.Phrase(category))) else None
        case m.WhatCategoryOnPlate(plate):
            return one.category if (one := _on_plate(scene, plate)) else None
        case m.WhatBackground():
            return scene.background
        case m.ChooseColour(thing, first, second):
            return _among(one.colour, first, second) if (one := _the(scene, thing)) else None
        case m.ChoosePlateColour(thing, first, second):
            return _among(one.plate, first, second) if (one := _the(scene, thing)) else None
        case m.ChooseSize(thing):
            return one.size if (one := _the(scene, thing)) else None
        case m.ChooseRelation(thing, other, vertical):
            a, b = _the(scene, thing), _the(scene, other)
            pair = RELATIONS[2:] if vertical else RELATIONS[:2]
            return next((r for r in pair if related(a, r, b)), None) if a and b and a is not b else None
        case m.ChooseKind(first, second):
            shown = [kind for kind in (first, second) if fitting(scene, m.Phrase(kind))]
            return shown[0] if len(shown) == 1 else None
        case m.ChooseCategoryOnPlate(plate, first, second):
            return _among(one.category, first, second) if (one := _on_plate(scene, plate)) else None
        case m.ChooseBackground(first, second):
            return _among(scene.background, first, second)
        case m.AreBoth(first, second):
            return _yes_no(everyone(bool(fitting(scene, phrase)) for phrase in (first, second)))
        case m.IsEither(first, second):
            return _yes_no(anyone(bool(fitting(scene, phrase)) for phrase in (first, second)))
        case m.IsWithout(first, second):
            return _yes_no(bool(fitting(scene, first)) and not fitting(scene, second))
        case m.AreBothSize(first, second, size):
            a, b = _the(scene, first), _the(scene, second)
            return _yes_no(a.size == b.size == size) if a and b and a is not b else None
        case m.AreSameColour(first, second):
            a, b = _the(scene, first), _the(scene, second)
            return _yes_no(a.colour == b.colour) if a and b and a is not b and a.colour and b.colour else None
        case m.ArePlatesSameColour(first, second):
            a, b = _the(scene, first), _the(scene, second)
            return _yes_no(a.plate == b.plate) if a and b and a is not b and a.plate and b.plate else None
        case m.AreSameSize(first, second):
            a, b = _the(scene, first), _the(scene, second)
            return _yes_no(a.size == b.size) if a and b and a is not b else None
        case m.WhichIsLarger(first, second):
            a, b = _the(scene, first), _the(scene, second)
            if not a or not b or a.size == b.size or a.kind == b.kind:
                return None
            return a.kind if a.size == "large" else b.kind
        case m.AreThereMore(first, second):
            return _yes_no(len(fitting(scene, m.Phrase(first))) > len(fitting(scene, m.Phrase(second))))
        case m.HowMany(noun):
            return str(len(fitting(scene, m.Phrase(noun))))
    raise TypeError(f"no such question: {q!r}")


def _yes_no(truth: Truth) -> str | None:
    return None if truth is None else ("yes" if truth else "no")


def _among(value: str | None, *choices: str) -> str | None:
    return value if value in choices else None


def _the(scene: Scene, phrase: m.Phrase) -> Thing | None:
    """Returns the only thing that a phrase describes, or None if it describes none or several."""
    found = fitting(scene, phrase)
    return found[0] if len(found) == 1 else None


def _on_plate(scene: Scene, plate: str) -> Thing | None:
    found = [thing for thing in scene.things if thing.plate == plate]
    return found[0] if len(found) == 1 else None


def _only_related(scene: Scene, relation: str, other: Thing) -> str | None:
    truths = [(thing, related(thing, relation, other)) for thing in scene.things if thing is not other]
    possible = [(thing, truth) for thing, truth in truths if truth is not False]
    return possible[0][0].kind if len(possible) == 1 and possible[0][1] else None


# -- drawing -----------------------------------------------------------------------------------------------------------


def sample_question(scene: Scene, rng: random.Random, structural: str | None = None) -> tuple[m.Question, str]:
    """Samples a question and its answer. structural: one of `STRUCTURAL_TYPES`; None draws one."""
    while True:
        propose = rng.choice(_PROPOSERS[structural or rng.choice(STRUCTURAL_TYPES)])
        if found := _balanced(scene, propose, rng):
            return found


def sample_question_like(scene: Scene, template: type[m.Question], rng: random.Random) -> tuple[m.Question, str] | None:
    """Samples a question of a template and its answer. Returns None if the scene has none, or none was found."""
    return _balanced(scene, _PROPOSER_OF[template], rng)


def _balanced(scene: Scene, propose: "Proposer", rng: random.Random) -> tuple[m.Question, str] | None:
    wanted = rng.choice(("yes", "no"))
    count = str(rng.choice((0, 0, 1, 2, 2, 2, 3, 3, 3, 4)))
    for _ in range(12):
        question = propose(scene, rng)
        found = answer(scene, question) if question else None
        if question is None or found is None:
            continue
        if found == "no" and rng.random() > _KEPT_NO.get(type(question), 1):
            return None
        if (found not in ("yes", "no") or found == wanted) and (not found.isdigit() or found == count):
            return question, found
    return None


def _refer(scene: Scene, thing: Thing, rng: random.Random, hide: str = "") -> m.Phrase | None:
    """Returns a shortest phrase that describes this thing alone, or None. hide: an attribute it must not mention."""
    steps: list[dict[str, str]] = [{}]
    for name in rng.sample(("size", "colour", "plate"), 3):
        value = getattr(thing, name)
        if value and name != hide:
            steps += [{**step, name: value} for step in steps]
    for step in sorted(steps, key=len):
        phrase = m.Phrase(thing.kind, step.get("size"), step.get("colour"), step.get("plate"))
        if len(fitting(scene, phrase)) == 1:
            return phrase
    return None


def _something(scene: Scene, rng: random.Random) -> m.Phrase:
    """Samples a phrase that may or may not fit: it describes a thing of the scene, a changed one, or another kind."""
    thing = rng.choice(scene.things)
    phrase = describe(thing, rng, category=0)
    draw = rng.random()
    if draw < 0.4:
        return phrase
    if draw < 0.7:
        return m.Phrase(rng.choice(KINDS) if rng.random() < 0.5 else phrase.noun, phrase.size, None, phrase.plate)
    size, colour, plate = phrase.size, phrase.colour, phrase.plate
    if size and rng.random() < 0.5:
        size = SIZES[1 - SIZES.index(size)]
    elif thing.category == SHAPE:
        colour = rng.choice(COLOURS)
    else:
        plate = rng.choice(COLOURS)
    return m.Phrase(phrase.noun, size, colour, plate)


def _colour_near(thing_colour: str, scene: Scene, rng: random.Random) -> str:
    """Draws this colour, one of the scene, or any."""
    in_scene = [colour for thing in scene.things for colour in (thing.colour, thing.plate) if colour]
    return rng.choice((thing_colour, rng.choice(in_scene), rng.choice(COLOURS)))


def _two(scene: Scene, rng: random.Random, hide: str = "") -> tuple[Thing, m.Phrase, Thing, m.Phrase] | None:
    things = [t for t in scene.things if hide not in ("colour", "plate") or getattr(t, hide)]
    if len(things) < 2:
        return None
    a, b = rng.sample(things, 2)
    first, second = _refer(scene, a, rng, hide), _refer(scene, b, rng, hide)
    return (a, first, b, second) if first and second else None


def _one(scene: Scene, rng: random.Random, hide: str = "") -> tuple[Thing, m.Phrase] | None:
    things = [t for t in scene.things if hide not in ("colour", "plate") or getattr(t, hide)]
    if not things:
        return None
    thing = rng.choice(things)
    phrase = _refer(scene, thing, rng, hide)
    return (thing, phrase) if phrase else None


def _shuffled(rng: random.Random, right: str, all_: tuple[str, ...]) -> tuple[str, str]:
    wrong = rng.choice([value for value in all_ if value != right])
    return (right, wrong) if rng.random() < 0.5 else (wrong, right)


def _plate(scene: Scene, rng: random.Random) -> Thing | None:
    plated = [thing for thing in scene.things if thing.plate]
    return rng.choice(plated) if plated else None


_KEPT_NO: Final[dict[type[m.Question], float]] = {
    m.IsRelated: 0.75,
    m.IsBetween: 0.35,
    m.AreSameColour: 0.14,
    m.ArePlatesSameColour: 0.28,
}
"""For questions that rarely have the answer yes, the share of their `no` that is kept."""

Proposer = Callable[[Scene, random.Random], m.Question | None]


def _is_there_category(scene: Scene, rng: random.Random) -> m.Question:
    thing = rng.choice(scene.things)
    noun = thing.category if rng.random() < 0.5 else rng.choice(CATEGORIES)
    size = rng.choice((None, *SIZES)) if rng.random() < 0.5 else None
    return m.IsThereCategory(m.Phrase(noun, size, None, rng.choice((None, thing.plate))))


def _is_colour(scene: Scene, rng: random.Random) -> m.Question | None:
    if not (one := _one(scene, rng, "colour")) or not one[0].colour:
        return None
    return m.IsColour(one[1], _colour_near(one[0].colour, scene, rng))


def _is_plate_colour(scene: Scene, rng: random.Random) -> m.Question | None:
    if not (one := _one(scene, rng, "plate")) or not one[0].plate:
        return None
    return m.IsPlateColour(one[1], _colour_near(one[0].plate, scene, rng))


def _is_size(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.IsSize(one[1], rng.choice(SIZES)) if (one := _one(scene, rng, "size")) else None


def _is_related(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.IsRelated(two[1], rng.choice(RELATIONS), two[3]) if (two := _two(scene, rng)) else None


def _is_between(scene: Scene, rng: random.Random) -> m.Question | None:
    if len(scene.things) < 3:
        return None
    phrases = [_refer(scene, thing, rng) for thing in rng.sample(scene.things, 3)]
    thing, first, second = phrases
    return m.IsBetween(thing, first, second) if thing and first and second else None


def _is_background(scene: Scene, rng: random.Random) -> m.Question:
    return m.IsBackground(rng.choice((scene.background, rng.choice(BACKGROUNDS))))


def _what_colour(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.WhatColour(one[1]) if (one := _one(scene, rng, "colour")) else None


def _what_plate_colour(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.WhatPlateColour(one[1]) if (one := _one(scene, rng, "plate")) else None


def _what_is_related(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.WhatIsRelated(rng.choice(RELATIONS), one[1]) if (one := _one(scene, rng)) else None


def _what_is_on_plate(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.WhatIsOnPlate(thing.plate) if (thing := _plate(scene, rng)) and thing.plate else None


def _which_of_category(scene: Scene, rng: random.Random) -> m.Question:
    return m.WhichOfCategory(rng.choice(scene.things).category)


def _what_category_on_plate(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.WhatCategoryOnPlate(thing.plate) if (thing := _plate(scene, rng)) and thing.plate else None


def _what_background(scene: Scene, rng: random.Random) -> m.Question:
    return m.WhatBackground()


def _choose_colour(scene: Scene, rng: random.Random) -> m.Question | None:
    if not (one := _one(scene, rng, "colour")) or not one[0].colour:
        return None
    return m.ChooseColour(one[1], *_shuffled(rng, one[0].colour, COLOURS))


def _choose_plate_colour(scene: Scene, rng: random.Random) -> m.Question | None:
    if not (one := _one(scene, rng, "plate")) or not one[0].plate:
        return None
    return m.ChoosePlateColour(one[1], *_shuffled(rng, one[0].plate, COLOURS))


def _choose_size(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.ChooseSize(one[1]) if (one := _one(scene, rng, "size")) else None


def _choose_relation(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.ChooseRelation(two[1], two[3], rng.random() < 0.5) if (two := _two(scene, rng)) else None


def _choose_kind(scene: Scene, rng: random.Random) -> m.Question:
    return m.ChooseKind(*_shuffled(rng, rng.choice(scene.things).kind, KINDS))


def _choose_category_on_plate(scene: Scene, rng: random.Random) -> m.Question | None:
    if not (thing := _plate(scene, rng)) or not thing.plate:
        return None
    return m.ChooseCategoryOnPlate(thing.plate, *_shuffled(rng, thing.category, CATEGORIES))


def _choose_background(scene: Scene, rng: random.Random) -> m.Question:
    return m.ChooseBackground(*_shuffled(rng, scene.background, BACKGROUNDS))


def _different(scene: Scene, rng: random.Random) -> tuple[m.Phrase, m.Phrase] | None:
    first, second = _something(scene, rng), _something(scene, rng)
    return (first, second) if first.noun != second.noun else None


def _are_both(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.AreBoth(*pair) if (pair := _different(scene, rng)) else None


def _is_either(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.IsEither(*pair) if (pair := _different(scene, rng)) else None


def _is_without(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.IsWithout(*pair) if (pair := _different(scene, rng)) else None


def _are_both_size(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.AreBothSize(two[1], two[3], rng.choice(SIZES)) if (two := _two(scene, rng, "size")) else None


def _are_same_colour(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.AreSameColour(two[1], two[3]) if (two := _two(scene, rng, "colour")) else None


def _are_plates_same_colour(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.ArePlatesSameColour(two[1], two[3]) if (two := _two(scene, rng, "plate")) else None


def _are_same_size(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.AreSameSize(two[1], two[3]) if (two := _two(scene, rng, "size")) else None


def _which_is_larger(scene: Scene, rng: random.Random) -> m.Question | None:
    return m.WhichIsLarger(two[1], two[3]) if (two := _two(scene, rng, "size")) else None


def _are_there_more(scene: Scene, rng: random.Random) -> m.Question | None:
    first = rng.choice(scene.things).category
    second = rng.choice((rng.choice(scene.things).category, rng.choice(CATEGORIES)))
    pair = (first, second) if rng.random() < 0.5 else (second, first)
    return m.AreThereMore(*pair) if first != second else None


def _how_many(scene: Scene, rng: random.Random) -> m.Question:
    thing = rng.choice(scene.things)
    return m.HowMany(
        rng.choice((thing.kind, thing.category, thing.category, rng.choice(CATEGORIES), rng.choice(KINDS)))
    )


def _is_there(scene: Scene, rng: random.Random) -> m.Question:
    return m.IsThere(_something(scene, rng))


_PROPOSERS: Final[dict[str, tuple[Proposer, ...]]] = {
    "verify": (
        _is_there, _is_there, _is_there_category, _is_colour, _is_plate_colour, _is_size, _is_related, _is_related,
        _is_between, _is_background,
    ),
    "query": (
        _what_colour, _what_plate_colour, _what_plate_colour, _what_is_related, _what_is_related, _what_is_on_plate,
        _which_of_category, _what_category_on_plate, _what_background,
    ),
    "choose": (
        _choose_colour, _choose_plate_colour, _choose_size, _choose_relation, _choose_kind, _choose_category_on_plate,
        _choose_background,
    ),
    "logical": (_are_both, _is_either, _is_without, _are_both_size),
    "compare": (_are_same_colour, _are_plates_same_colour, _are_same_size, _which_is_larger, _are_there_more),
    "count": (_how_many,),
}  # fmt: skip

_PROPOSER_OF: Final[dict[type[m.Question], Proposer]] = {
    m.IsThere: _is_there,
    m.IsThereCategory: _is_there_category,
    m.IsColour: _is_colour,
    m.IsPlateColour: _is_plate_colour,
    m.IsSize: _is_size,
    m.IsRelated: _is_related,
    m.IsBetween: _is_between,
    m.IsBackground: _is_background,
    m.WhatColour: _what_colour,
    m.WhatPlateColour: _what_plate_colour,
    m.WhatIsRelated: _what_is_related,
    m.WhatIsOnPlate: _what_is_on_plate,
    m.WhichOfCategory: _which_of_category,
    m.WhatCategoryOnPlate: _what_category_on_plate,
    m.WhatBackground: _what_background,
    m.ChooseColour: _choose_colour,
    m.ChoosePlateColour: _choose_plate_colour,
    m.ChooseSize: _choose_size,
    m.ChooseRelation: _choose_relation,
    m.ChooseKind: _choose_kind,
    m.ChooseCategoryOnPlate: _choose_category_on_plate,
    m.ChooseBackground: _choose_background,
    m.AreBoth: _are_both,
    m.IsEither: _is_either,
    m.IsWithout: _is_without,
    m.AreBothSize: _are_both_size,
    m.AreSameColour: _are_same_colour,
    m.ArePlatesSameColour: _are_plates_same_colour,
    m.AreSameSize: _are_same_size,
    m.WhichIsLarger: _which_is_larger,
    m.AreThereMore: _are_there_more,
    m.HowMany: _how_many,
}

TEMPLATES: Final = tuple(_PROPOSER_OF)
"""All kinds of question."""
