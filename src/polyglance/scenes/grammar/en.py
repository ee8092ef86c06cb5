"""English: articles a/an and the, no agreement of adjectives."""

from typing import Final

from polyglance.scenes import meaning as m
from polyglance.scenes.grammar.base import Grammar

IRREGULAR_PLURALS: Final = {
    "cactus": "cacti", "fish": "fish", "scarf": "scarves",
    "cross": "crosses", "bus": "buses", "axe": "axes", "wrench": "wrenches", "paintbrush": "paintbrushes",
    "magnifying glass": "magnifying glasses", "peach": "peaches", "mango": "mangoes",
    "dress": "dresses", "piece of clothing": "pieces of clothing",
}  # fmt: skip
CATEGORY_WORDS: Final = {"garment": "piece of clothing", "instrument": "musical instrument"}
NUMERALS: Final = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
RELATIONS: Final = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}
BACKGROUND_PLACES: Final = {"meadow": "in a meadow", "sea": "at sea", "night": "at night", "desert": "in the desert"}
BACKGROUNDS: Final = {"meadow": "a meadow", "sea": "the sea", "night": "the night sky", "desert": "a desert"}


def noun(name: str) -> str:
    return CATEGORY_WORDS.get(name, name)


def plural(name: str) -> str:
    word = noun(name)
    return IRREGULAR_PLURALS.get(word, word + "s")


def with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def bare(phrase: m.Phrase) -> str:
    """Adjectives and noun, without an article or a plate: `small red star`."""
    return " ".join(word for word in (phrase.size, phrase.colour, noun(phrase.noun)) if word)


def a(phrase: m.Phrase) -> str:
    plate = f" on {with_article(phrase.plate)} plate" if phrase.plate else ""
    return with_article(bare(phrase)) + plate


def the(phrase: m.Phrase) -> str:
    plate = f" on the {phrase.plate} plate" if phrase.plate else ""
    return f"the {bare(phrase)}{plate}"


class English(Grammar):
    code = "en"

    def shows(self, f: m.Shows) -> str:
        return a(f.thing)

    def shows_count(self, f: m.ShowsCount) -> str:
        return f"{NUMERALS[f.count]} {plural(f.noun)}"

    def shows_related(self, f: m.ShowsRelated) -> str:
        return f"{a(f.thing)} {RELATIONS[f.relation]} {a(f.other)}"

    def shows_between(self, f: m.ShowsBetween) -> str:
        return f"{a(f.thing)} between {a(f.first)} and {a(f.second)}"

    def shows_background(self, f: m.ShowsBackground) -> str:
        return BACKGROUND_PLACES[f.background]

    def is_there(self, q: m.IsThere) -> str:
        return f"Is there {a(q.thing)} in the picture?"

    def is_there_category(self, q: m.IsThereCategory) -> str:
        return f"Is there {a(q.thing)} in the picture?"

    def is_colour(self, q: m.IsColour) -> str:
        return f"Is {the(q.thing)} {q.colour}?"

    def is_plate_colour(self, q: m.IsPlateColour) -> str:
        return f"Is the plate under {the(q.thing)} {q.colour}?"

    def is_size(self, q: m.IsSize) -> str:
        return f"Is {the(q.thing)} {q.size}?"

    def is_related(self, q: m.IsRelated) -> str:
        return f"Is {the(q.thing)} {RELATIONS[q.relation]} {the(q.other)}?"

    def is_between(self, q: m.IsBetween) -> str:
        return f"Is {the(q.thing)} between {the(q.first)} and {the(q.second)}?"

    def is_background(self, q: m.IsBackground) -> str:
        return f"Does the picture show {BACKGROUNDS[q.background]}?"

    def what_colour(self, q: m.WhatColour) -> str:
        return f"What color is {the(q.thing)}?"

    def what_plate_colour(self, q: m.WhatPlateColour) -> str:
        return f"What color is the plate under {the(q.thing)}?"

    def what_is_related(self, q: m.WhatIsRelated) -> str:
        return f"What is {RELATIONS[q.relation]} {the(q.other)}?"

    def what_is_on_plate(self, q: m.WhatIsOnPlate) -> str:
        return f"What is on the {q.plate} plate?"

    def which_of_category(self, q: m.WhichOfCategory) -> str:
        return f"Which {noun(q.category)} is in the picture?"

    def what_category_on_plate(self, q: m.WhatCategoryOnPlate) -> str:
        return f"What kind of thing is on the {q.plate} plate?"

    def what_background(self, q: m.WhatBackground) -> str:
        return "What is in the background of the picture?"

    def choose_colour(self, q: m.ChooseColour) -> str:
        return f"Is {the(q.thing)} {q.first} or {q.second}?"

    def choose_plate_colour(self, q: m.ChoosePlateColour) -> str:
        return f"Is the plate under {the(q.thing)} {q.first} or {q.second}?"

    def choose_size(self, q: m.ChooseSize) -> str:
        return f"Is {the(q.thing)} small or large?"

    def choose_relation(self, q: m.ChooseRelation) -> str:
        either = "above or below" if q.vertical else "to the left or to the right of"
        return f"Is {the(q.thing)} {either} {the(q.other)}?"

    def choose_kind(self, q: m.ChooseKind) -> str:
        return f"Which of the two is in the picture, {a(m.Phrase(q.first))} or {a(m.Phrase(q.second))}?"

    def choose_category_on_plate(self, q: m.ChooseCategoryOnPlate) -> str:
        return f"Is the thing on the {q.plate} plate {a(m.Phrase(q.first))} or {a(m.Phrase(q.second))}?"

    def choose_background(self, q: m.ChooseBackground) -> str:
        return f"Does the picture show {BACKGROUNDS[q.first]} or {BACKGROUNDS[q.second]}?"

    def are_both(self, q: m.AreBoth) -> str:
        return f"Are there both {a(q.first)} and {a(q.second)} in the picture?"

    def is_either(self, q: m.IsEither) -> str:
        return f"Is there {a(q.first)} or {a(q.second)} in the picture?"

    def is_without(self, q: m.IsWithout) -> str:
        plate = f" on {with_article(q.second.plate)} plate" if q.second.plate else ""
        return f"Is there {a(q.first)} but no {bare(q.second)}{plate} in the picture?"

    def are_both_size(self, q: m.AreBothSize) -> str:
        return f"Are {the(q.first)} and {the(q.second)} both {q.size}?"

    def are_same_colour(self, q: m.AreSameColour) -> str:
        return f"Do {the(q.first)} and {the(q.second)} have the same color?"

    def are_plates_same_colour(self, q: m.ArePlatesSameColour) -> str:
        return f"Do the plates under {the(q.first)} and {the(q.second)} have the same color?"

    def are_same_size(self, q: m.AreSameSize) -> str:
        return f"Are {the(q.first)} and {the(q.second)} the same size?"

    def which_is_larger(self, q: m.WhichIsLarger) -> str:
        return f"Which is larger, {the(q.first)} or {the(q.second)}?"

    def are_there_more(self, q: m.AreThereMore) -> str:
        return f"Are there more {plural(q.first)} than {plural(q.second)} in the picture?"

    def how_many(self, q: m.HowMany) -> str:
        return f"How many {plural(q.noun)} are in the picture?"


GRAMMAR = English()
