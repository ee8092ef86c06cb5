"""French: two genders, size before and colour after the noun, elision of vowels, `de` contracted with le."""

from typing import Final

from polyglance.scenes import meaning as m
from polyglance.scenes.grammar.base import GenderFinder, Grammar

LEXICON: Final[dict[str, tuple[str, str, str]]] = {
    "animal": ("m", "animal", "animaux"), "fruit": ("m", "fruit", "fruits"), "plant": ("f", "plante", "plantes"),
    "vehicle": ("m", "véhicule", "véhicules"), "garment": ("m", "vêtement", "vêtements"),
    "instrument": ("m", "instrument de musique", "instruments de musique"), "tool": ("m", "outil", "outils"),
    "shape": ("f", "forme", "formes"),
    "dog": ("m", "chien", "chiens"), "cat": ("m", "chat", "chats"), "horse": ("m", "cheval", "chevaux"),
    "cow": ("f", "vache", "vaches"), "pig": ("m", "cochon", "cochons"), "rabbit": ("m", "lapin", "lapins"),
    "elephant": ("m", "éléphant", "éléphants"), "lion": ("m", "lion", "lions"), "giraffe": ("f", "girafe", "girafes"),
    "turtle": ("f", "tortue", "tortues"), "frog": ("f", "grenouille", "grenouilles"),
    "penguin": ("m", "pingouin", "pingouins"), "fish": ("m", "poisson", "poissons"),
    "snail": ("m", "escargot", "escargots"),
    "apple": ("f", "pomme", "pommes"), "banana": ("f", "banane", "bananes"), "lemon": ("m", "citron", "citrons"),
    "pineapple": ("m", "ananas", "ananas"), "pear": ("f", "poire", "poires"), "peach": ("f", "pêche", "pêches"),
    "mango": ("f", "mangue", "mangues"), "kiwi": ("m", "kiwi", "kiwis"),
    "coconut": ("f", "noix de coco", "noix de coco"),
    "palm tree": ("m", "palmier", "palmiers"), "fir tree": ("m", "sapin", "sapins"),
    "cactus": ("m", "cactus", "cactus"), "rose": ("f", "rose", "roses"), "tulip": ("f", "tulipe", "tulipes"),
    "sunflower": ("m", "tournesol", "tournesols"), "clover": ("m", "trèfle", "trèfles"),
    "seedling": ("f", "pousse", "pousses"),
    "car": ("f", "voiture", "voitures"), "bus": ("m", "bus", "bus"), "truck": ("m", "camion", "camions"),
    "tractor": ("m", "tracteur", "tracteurs"), "bicycle": ("m", "vélo", "vélos"),
    "motorcycle": ("f", "moto", "motos"), "airplane": ("m", "avion", "avions"),
    "helicopter": ("m", "hélicoptère", "hélicoptères"), "rocket": ("f", "fusée", "fusées"),
    "sailboat": ("m", "voilier", "voiliers"), "locomotive": ("f", "locomotive", "locomotives"),
    "canoe": ("m", "canoë", "canoës"),
    "dress": ("f", "robe", "robes"), "t-shirt": ("m", "t-shirt", "t-shirts"), "coat": ("m", "manteau", "manteaux"),
    "top hat": ("m", "haut-de-forme", "hauts-de-forme"), "scarf": ("f", "écharpe", "écharpes"),
    "tie": ("f", "cravate", "cravates"), "boot": ("f", "botte", "bottes"), "cap": ("f", "casquette", "casquettes"),
    "guitar": ("f", "guitare", "guitares"), "trumpet": ("f", "trompette", "trompettes"),
    "violin": ("m", "violon", "violons"), "drum": ("m", "tambour", "tambours"),
    "saxophone": ("m", "saxophone", "saxophones"), "banjo": ("m", "banjo", "banjos"),
    "hammer": ("m", "marteau", "marteaux"), "axe": ("f", "hache", "haches"),
    "wrench": ("f", "clé plate", "clés plates"), "broom": ("m", "balai", "balais"),
    "pencil": ("m", "crayon", "crayons"), "paintbrush": ("m", "pinceau", "pinceaux"),
    "flashlight": ("f", "lampe torche", "lampes torches"), "magnifying glass": ("f", "loupe", "loupes"),
    "circle": ("m", "cercle", "cercles"), "square": ("m", "carré", "carrés"),
    "triangle": ("m", "triangle", "triangles"), "star": ("f", "étoile", "étoiles"), "heart": ("m", "cœur", "cœurs"),
    "diamond": ("m", "losange", "losanges"), "cross": ("f", "croix", "croix"),
    "crescent": ("m", "croissant de lune", "croissants de lune"),
}  # fmt: skip
"""Kind or category -> gender, singular and plural."""

ADJECTIVES: Final = {
    "red": {"m": "rouge", "f": "rouge"}, "orange": {"m": "orange", "f": "orange"},
    "yellow": {"m": "jaune", "f": "jaune"}, "green": {"m": "vert", "f": "verte"},
    "blue": {"m": "bleu", "f": "bleue"}, "purple": {"m": "violet", "f": "violette"},
    "white": {"m": "blanc", "f": "blanche"}, "black": {"m": "noir", "f": "noire"},
    "small": {"m": "petit", "f": "petite"}, "large": {"m": "grand", "f": "grande"},
}  # fmt: skip
A: Final = {"m": "un", "f": "une"}
THE: Final = {"m": "le ", "f": "la "}
THIN: Final = "\u202f"
WHICH: Final = {"m": "Quel", "f": "Quelle"}
IT: Final = {"m": "il", "f": "elle"}
NUMERALS: Final = {2: "deux", 3: "trois", 4: "quatre", 5: "cinq", 6: "six"}
RELATIONS: Final = {"left": "à gauche", "right": "à droite", "above": "au-dessus", "below": "en dessous"}
BACKGROUND_PLACES: Final = {
    "meadow": "dans une prairie", "sea": "en mer", "night": "de nuit", "desert": "dans le désert",
}  # fmt: skip
BACKGROUNDS: Final = {"meadow": "une prairie", "sea": "la mer", "night": "le ciel nocturne", "desert": "un désert"}
ASPIRATED: Final = ("hache", "haut")
"""Beginnings of words with an aspirated h, before which no vowel is elided."""


def gender(name: str) -> str:
    return LEXICON[name][0]


def plural(name: str) -> str:
    return LEXICON[name][2]


def elides(words: str) -> bool:
    """Whether a vowel is elided before these words: `l'étoile`, `l'hélicoptère`, `la hache`."""
    return words[0] in "aeéhio" and not words.startswith(ASPIRATED)


def of(words: str) -> str:
    """`de` before a noun without an article: `(pas) de chat`, `(plus) d'animaux`."""
    return f"d'{words}" if elides(words) else f"de {words}"


def bare(phrase: m.Phrase) -> str:
    """Adjectives and noun, without an article or a plate: `petite étoile rouge`."""
    noun_gender, noun, _ = LEXICON[phrase.noun]
    size, colour = (ADJECTIVES[name][noun_gender] if name else "" for name in (phrase.size, phrase.colour))
    return " ".join(word for word in (size, noun, colour) if word)


def on_a_plate(phrase: m.Phrase) -> str:
    return f" sur une assiette {ADJECTIVES[phrase.plate]['f']}" if phrase.plate else ""


def on_the_plate(colour: str) -> str:
    return f"sur l'assiette {ADJECTIVES[colour]['f']}"


def a(phrase: m.Phrase) -> str:
    return f"{A[gender(phrase.noun)]} {bare(phrase)}{on_a_plate(phrase)}"


def no(phrase: m.Phrase) -> str:
    return f"pas {of(bare(phrase))}{on_a_plate(phrase)}"


def the(phrase: m.Phrase) -> str:
    words = bare(phrase)
    plate = f" {on_the_plate(phrase.plate)}" if phrase.plate else ""
    return ("l'" if elides(words) else THE[gender(phrase.noun)]) + words + plate


def of_the(phrase: m.Phrase) -> str:
    """`du chien`, `de la hache`, `de l'étoile`"""
    words = the(phrase)
    return f"du {words.removeprefix('le ')}" if words.startswith("le ") else f"de {words}"


def agreeing(name: str, phrase: m.Phrase) -> str:
    """The predicate: `(l'étoile est-elle) verte`."""
    return ADJECTIVES[name][gender(phrase.noun)]


def shared_gender(first: m.Phrase, second: m.Phrase) -> str:
    """The gender of two nouns together: feminine if both are."""
    return "m" if "m" in (gender(first.noun), gender(second.noun)) else "f"


def is_it(phrase: m.Phrase) -> str:
    """`Le chien est-il`, `L'étoile est-elle`"""
    return capitalised(f"{the(phrase)} est-{IT[gender(phrase.noun)]}")


def are_they(first: m.Phrase, second: m.Phrase) -> str:
    """`Le chien et la vache sont-ils`"""
    return capitalised(f"{the(first)} et {the(second)} sont-{IT[shared_gender(first, second)]}s")


def capitalised(words: str) -> str:
    return words[0].upper() + words[1:]


ANSWERS: Final = {
    **{name: singular for name, (_, singular, _) in LEXICON.items()},
    **{name: forms["m"] for name, forms in ADJECTIVES.items()}, **RELATIONS,
    "yes": "oui", "no": "non",
    "meadow": "prairie", "sea": "mer", "night": "ciel nocturne", "desert": "désert",
}  # fmt: skip


GENDERS: Final = GenderFinder({**{noun: gender for gender, noun, _ in LEXICON.values()}, "assiette": "f"})


class French(Grammar):
    """A narrow no-break space (U+202F) stands before a question mark and a colon."""

    code = "fr"
    answers = ANSWERS

    def answer(self, answer: str, question: str = "") -> str:
        if answer in ADJECTIVES:
            return ADJECTIVES[answer][GENDERS.find(question) or "m"]
        return super().answer(answer)

    def shows(self, f: m.Shows) -> str:
        return a(f.thing)

    def shows_count(self, f: m.ShowsCount) -> str:
        return f"{NUMERALS[f.count]} {plural(f.noun)}"

    def shows_related(self, f: m.ShowsRelated) -> str:
        return f"{a(f.thing)} {RELATIONS[f.relation]} d'{a(f.other)}"

    def shows_between(self, f: m.ShowsBetween) -> str:
        return f"{a(f.thing)} entre {a(f.first)} et {a(f.second)}"

    def shows_background(self, f: m.ShowsBackground) -> str:
        return BACKGROUND_PLACES[f.background]

    def is_there(self, q: m.IsThere) -> str:
        return f"Y a-t-il {a(q.thing)} dans l'image{THIN}?"

    def is_there_category(self, q: m.IsThereCategory) -> str:
        return f"Y a-t-il {a(q.thing)} dans l'image{THIN}?"

    def is_colour(self, q: m.IsColour) -> str:
        return f"{is_it(q.thing)} {agreeing(q.colour, q.thing)}{THIN}?"

    def is_plate_colour(self, q: m.IsPlateColour) -> str:
        return f"L'assiette sous {the(q.thing)} est-elle {ADJECTIVES[q.colour]['f']}{THIN}?"

    def is_size(self, q: m.IsSize) -> str:
        return f"{is_it(q.thing)} {agreeing(q.size, q.thing)}{THIN}?"

    def is_related(self, q: m.IsRelated) -> str:
        return f"{is_it(q.thing)} {RELATIONS[q.relation]} {of_the(q.other)}{THIN}?"

    def is_between(self, q: m.IsBetween) -> str:
        return f"{is_it(q.thing)} entre {the(q.first)} et {the(q.second)}{THIN}?"

    def is_background(self, q: m.IsBackground) -> str:
        return f"L'image montre-t-elle {BACKGROUNDS[q.background]}{THIN}?"

    def what_colour(self, q: m.WhatColour) -> str:
        return f"De quelle couleur est {the(q.thing)}{THIN}?"

    def what_plate_colour(self, q: m.WhatPlateColour) -> str:
        return f"De quelle couleur est l'assiette sous {the(q.thing)}{THIN}?"

    def what_is_related(self, q: m.WhatIsRelated) -> str:
        return f"Qu'y a-t-il {RELATIONS[q.relation]} {of_the(q.other)}{THIN}?"

    def what_is_on_plate(self, q: m.WhatIsOnPlate) -> str:
        return f"Qu'y a-t-il {on_the_plate(q.plate)}{THIN}?"

    def which_of_category(self, q: m.WhichOfCategory) -> str:
        return f"{WHICH[gender(q.category)]} {bare(m.Phrase(q.category))} voit-on dans l'image{THIN}?"

    def what_category_on_plate(self, q: m.WhatCategoryOnPlate) -> str:
        return f"Quelle sorte de chose se trouve {on_the_plate(q.plate)}{THIN}?"

    def what_background(self, q: m.WhatBackground) -> str:
        return f"Qu'y a-t-il à l'arrière-plan de l'image{THIN}?"

    def choose_colour(self, q: m.ChooseColour) -> str:
        return f"{is_it(q.thing)} {agreeing(q.first, q.thing)} ou {agreeing(q.second, q.thing)}{THIN}?"

    def choose_plate_colour(self, q: m.ChoosePlateColour) -> str:
        either = f"{ADJECTIVES[q.first]['f']} ou {ADJECTIVES[q.second]['f']}"
        return f"L'assiette sous {the(q.thing)} est-elle {either}{THIN}?"

    def choose_size(self, q: m.ChooseSize) -> str:
        return f"{is_it(q.thing)} {agreeing('small', q.thing)} ou {agreeing('large', q.thing)}{THIN}?"

    def choose_relation(self, q: m.ChooseRelation) -> str:
        either = "au-dessus ou en dessous" if q.vertical else "à gauche ou à droite"
        return f"{is_it(q.thing)} {either} {of_the(q.other)}{THIN}?"

    def choose_kind(self, q: m.ChooseKind) -> str:
        return f"Que voit-on dans l'image{THIN}: {a(m.Phrase(q.first))} ou {a(m.Phrase(q.second))}{THIN}?"

    def choose_category_on_plate(self, q: m.ChooseCategoryOnPlate) -> str:
        either = f"{a(m.Phrase(q.first))} ou {a(m.Phrase(q.second))}"
        return f"Est-ce {either} qui se trouve {on_the_plate(q.plate)}{THIN}?"

    def choose_background(self, q: m.ChooseBackground) -> str:
        return f"L'image montre-t-elle {BACKGROUNDS[q.first]} ou {BACKGROUNDS[q.second]}{THIN}?"

    def are_both(self, q: m.AreBoth) -> str:
        return f"Y a-t-il à la fois {a(q.first)} et {a(q.second)} dans l'image{THIN}?"

    def is_either(self, q: m.IsEither) -> str:
        return f"Y a-t-il {a(q.first)} ou {a(q.second)} dans l'image{THIN}?"

    def is_without(self, q: m.IsWithout) -> str:
        return f"Y a-t-il {a(q.first)} mais {no(q.second)} dans l'image{THIN}?"

    def are_both_size(self, q: m.AreBothSize) -> str:
        shared = shared_gender(q.first, q.second)
        both = {"m": "tous les deux", "f": "toutes les deux"}[shared]
        return f"{are_they(q.first, q.second)} {both} {ADJECTIVES[q.size][shared]}s{THIN}?"

    def are_same_colour(self, q: m.AreSameColour) -> str:
        return f"{are_they(q.first, q.second)} de la même couleur{THIN}?"

    def are_plates_same_colour(self, q: m.ArePlatesSameColour) -> str:
        return f"Les assiettes sous {the(q.first)} et sous {the(q.second)} sont-elles de la même couleur{THIN}?"

    def are_same_size(self, q: m.AreSameSize) -> str:
        return f"{are_they(q.first, q.second)} de la même taille{THIN}?"

    def which_is_larger(self, q: m.WhichIsLarger) -> str:
        asked = {"m": "Lequel est le plus grand", "f": "Laquelle est la plus grande"}[shared_gender(q.first, q.second)]
        return f"{asked}{THIN}: {the(q.first)} ou {the(q.second)}{THIN}?"

    def are_there_more(self, q: m.AreThereMore) -> str:
        return f"Y a-t-il plus {of(plural(q.first))} que {of(plural(q.second))} dans l'image{THIN}?"

    def how_many(self, q: m.HowMany) -> str:
        return f"Combien {of(plural(q.noun))} y a-t-il dans l'image{THIN}?"


GRAMMAR = French()
