"""German: three genders, three cases, articles that decide the endings of adjectives, `von dem` contracted to `vom`."""

from typing import Final

from polyglance.scenes import meaning as m
from polyglance.scenes.grammar.base import Grammar

LEXICON: Final[dict[str, tuple[str, str, str]]] = {
    "animal": ("n", "Tier", "Tiere"), "fruit": ("f", "Frucht", "Früchte"), "plant": ("f", "Pflanze", "Pflanzen"),
    "vehicle": ("n", "Fahrzeug", "Fahrzeuge"), "garment": ("n", "Kleidungsstück", "Kleidungsstücke"),
    "instrument": ("n", "Musikinstrument", "Musikinstrumente"), "tool": ("n", "Werkzeug", "Werkzeuge"),
    "shape": ("f", "Form", "Formen"),
    "dog": ("m", "Hund", "Hunde"), "cat": ("f", "Katze", "Katzen"), "horse": ("n", "Pferd", "Pferde"),
    "cow": ("f", "Kuh", "Kühe"), "pig": ("n", "Schwein", "Schweine"), "rabbit": ("n", "Kaninchen", "Kaninchen"),
    "elephant": ("m", "Elefant", "Elefanten"), "lion": ("m", "Löwe", "Löwen"), "giraffe": ("f", "Giraffe", "Giraffen"),
    "turtle": ("f", "Schildkröte", "Schildkröten"), "frog": ("m", "Frosch", "Frösche"),
    "penguin": ("m", "Pinguin", "Pinguine"), "fish": ("m", "Fisch", "Fische"), "snail": ("f", "Schnecke", "Schnecken"),
    "apple": ("m", "Apfel", "Äpfel"), "banana": ("f", "Banane", "Bananen"), "lemon": ("f", "Zitrone", "Zitronen"),
    "pineapple": ("f", "Ananas", "Ananas"), "pear": ("f", "Birne", "Birnen"), "peach": ("m", "Pfirsich", "Pfirsiche"),
    "mango": ("f", "Mango", "Mangos"), "kiwi": ("f", "Kiwi", "Kiwis"), "coconut": ("f", "Kokosnuss", "Kokosnüsse"),
    "palm tree": ("f", "Palme", "Palmen"), "fir tree": ("f", "Tanne", "Tannen"), "cactus": ("m", "Kaktus", "Kakteen"),
    "rose": ("f", "Rose", "Rosen"), "tulip": ("f", "Tulpe", "Tulpen"),
    "sunflower": ("f", "Sonnenblume", "Sonnenblumen"), "clover": ("n", "Kleeblatt", "Kleeblätter"),
    "seedling": ("m", "Keimling", "Keimlinge"),
    "car": ("n", "Auto", "Autos"), "bus": ("m", "Bus", "Busse"), "truck": ("m", "Lastwagen", "Lastwagen"),
    "tractor": ("m", "Traktor", "Traktoren"), "bicycle": ("n", "Fahrrad", "Fahrräder"),
    "motorcycle": ("n", "Motorrad", "Motorräder"), "airplane": ("n", "Flugzeug", "Flugzeuge"),
    "helicopter": ("m", "Hubschrauber", "Hubschrauber"), "rocket": ("f", "Rakete", "Raketen"),
    "sailboat": ("n", "Segelboot", "Segelboote"), "locomotive": ("f", "Lokomotive", "Lokomotiven"),
    "canoe": ("n", "Kanu", "Kanus"),
    "dress": ("n", "Kleid", "Kleider"), "t-shirt": ("n", "T-Shirt", "T-Shirts"), "coat": ("m", "Mantel", "Mäntel"),
    "top hat": ("m", "Zylinderhut", "Zylinderhüte"), "scarf": ("m", "Schal", "Schals"),
    "tie": ("f", "Krawatte", "Krawatten"), "boot": ("m", "Stiefel", "Stiefel"), "cap": ("f", "Kappe", "Kappen"),
    "guitar": ("f", "Gitarre", "Gitarren"), "trumpet": ("f", "Trompete", "Trompeten"),
    "violin": ("f", "Geige", "Geigen"), "drum": ("f", "Trommel", "Trommeln"), "saxophone": ("n", "Saxofon", "Saxofone"),
    "banjo": ("n", "Banjo", "Banjos"),
    "hammer": ("m", "Hammer", "Hämmer"), "axe": ("f", "Axt", "Äxte"),
    "wrench": ("m", "Schraubenschlüssel", "Schraubenschlüssel"), "broom": ("m", "Besen", "Besen"),
    "pencil": ("m", "Bleistift", "Bleistifte"), "paintbrush": ("m", "Pinsel", "Pinsel"),
    "flashlight": ("f", "Taschenlampe", "Taschenlampen"), "magnifying glass": ("f", "Lupe", "Lupen"),
    "circle": ("m", "Kreis", "Kreise"), "square": ("n", "Quadrat", "Quadrate"),
    "triangle": ("n", "Dreieck", "Dreiecke"), "star": ("m", "Stern", "Sterne"), "heart": ("n", "Herz", "Herzen"),
    "diamond": ("f", "Raute", "Rauten"), "cross": ("n", "Kreuz", "Kreuze"), "crescent": ("m", "Halbmond", "Halbmonde"),
}  # fmt: skip
"""Kind or category -> gender, nominative singular and plural."""

WEAK_FORMS: Final = {
    ("elephant", "acc"): "Elefanten", ("elephant", "dat"): "Elefanten",
    ("lion", "acc"): "Löwen", ("lion", "dat"): "Löwen", ("heart", "dat"): "Herzen",
}  # fmt: skip
"""The singular forms that differ from the nominative."""

INDEFINITE: Final = {
    "nom": {"m": ("ein", "er"), "f": ("eine", "e"), "n": ("ein", "es")},
    "acc": {"m": ("einen", "en"), "f": ("eine", "e"), "n": ("ein", "es")},
    "dat": {"m": ("einem", "en"), "f": ("einer", "en"), "n": ("einem", "en")},
}
DEFINITE: Final = {
    "nom": {"m": ("der", "e"), "f": ("die", "e"), "n": ("das", "e")},
    "dat": {"m": ("dem", "en"), "f": ("der", "en"), "n": ("dem", "en")},
}
"""Case -> gender -> the article and the ending of adjectives after it."""

COLOURS: Final = {
    "red": "rot", "orange": "orange", "yellow": "gelb", "green": "grün",
    "blue": "blau", "purple": "lila", "white": "weiß", "black": "schwarz",
}  # fmt: skip
SIZES: Final = {"small": "klein", "large": "groß"}
NUMERALS: Final = {2: "zwei", 3: "drei", 4: "vier", 5: "fünf", 6: "sechs"}
RELATIONS: Final = {"left": "links von", "right": "rechts von", "above": "über", "below": "unter"}
BACKGROUND_PLACES: Final = {
    "meadow": "auf einer Wiese", "sea": "auf dem Meer", "night": "nachts", "desert": "in der Wüste",
}  # fmt: skip
BACKGROUNDS: Final = {"meadow": "eine Wiese", "sea": "das Meer", "night": "den Nachthimmel", "desert": "eine Wüste"}
"""In the accusative case."""
WHICH: Final = {"m": "Welcher", "f": "Welche", "n": "Welches"}


def inflected(adjective: str, ending: str) -> str:
    """An adjective with its ending: `roter`. `lila` never changes; `orange` becomes `orangefarbener`."""
    if adjective == "lila":
        return adjective
    return ("orangefarben" if adjective == "orange" else adjective) + ending


def plural(name: str) -> str:
    return LEXICON[name][2]


def declined(phrase: m.Phrase, case: str, articles: dict[str, dict[str, tuple[str, str]]]) -> str:
    """Article, adjectives, noun and plate: `einem kleinen roten Stern auf einem blauen Teller`."""
    gender, nominative, _ = LEXICON[phrase.noun]
    article, ending = articles[case][gender]
    words = [article]
    if phrase.size:
        words.append(inflected(SIZES[phrase.size], ending))
    if phrase.colour:
        words.append(inflected(COLOURS[phrase.colour], ending))
    words.append(WEAK_FORMS.get((phrase.noun, case), nominative))
    if phrase.plate:
        plate_article, plate_ending = articles["dat"]["m"]
        words.append(f"auf {plate_article} {inflected(COLOURS[phrase.plate], plate_ending)} Teller")
    return " ".join(words)


def a(phrase: m.Phrase, case: str = "nom") -> str:
    return declined(phrase, case, INDEFINITE)


def no(phrase: m.Phrase) -> str:
    """`keinen Hund`, in the accusative."""
    return "k" + a(phrase, "acc")


def the(phrase: m.Phrase, case: str = "nom") -> str:
    return declined(phrase, case, DEFINITE)


def plate_of(phrase: m.Phrase) -> str:
    """Names the plate that a thing is on, with `mit`; `unter` could also mean a plate lower in the picture."""
    return f"der Teller mit {the(phrase, 'dat')}"


def on_plate(colour: str) -> str:
    return f"auf dem {inflected(COLOURS[colour], 'en')} Teller"


def related_to(relation: str, other: m.Phrase) -> str:
    """`links vom Hund`, `über der Katze`"""
    return f"{relation} {the(other, 'dat')}".replace("von dem ", "vom ")


ANSWERS: Final = {
    **{name: singular for name, (_, singular, _) in LEXICON.items()},
    **COLOURS, **SIZES,
    "yes": "ja", "no": "nein", "left": "links", "right": "rechts", "above": "darüber", "below": "darunter",
    "meadow": "Wiese", "sea": "Meer", "night": "Nachthimmel", "desert": "Wüste",
}  # fmt: skip


class German(Grammar):
    code = "de"
    comma_after_background = False
    answers = ANSWERS

    def shows(self, f: m.Shows) -> str:
        return a(f.thing)

    def shows_count(self, f: m.ShowsCount) -> str:
        return f"{NUMERALS[f.count]} {plural(f.noun)}"

    def shows_related(self, f: m.ShowsRelated) -> str:
        return f"{a(f.thing)} {RELATIONS[f.relation]} {a(f.other, 'dat')}"

    def shows_between(self, f: m.ShowsBetween) -> str:
        return f"{a(f.thing)} zwischen {a(f.first, 'dat')} und {a(f.second, 'dat')}"

    def shows_background(self, f: m.ShowsBackground) -> str:
        return BACKGROUND_PLACES[f.background]

    def is_there(self, q: m.IsThere) -> str:
        return f"Gibt es auf dem Bild {a(q.thing, 'acc')}?"

    def is_there_category(self, q: m.IsThereCategory) -> str:
        return f"Gibt es auf dem Bild {a(q.thing, 'acc')}?"

    def is_colour(self, q: m.IsColour) -> str:
        return f"Ist {the(q.thing)} {COLOURS[q.colour]}?"

    def is_plate_colour(self, q: m.IsPlateColour) -> str:
        return f"Ist {plate_of(q.thing)} {COLOURS[q.colour]}?"

    def is_size(self, q: m.IsSize) -> str:
        return f"Ist {the(q.thing)} {SIZES[q.size]}?"

    def is_related(self, q: m.IsRelated) -> str:
        return f"Ist {the(q.thing)} {related_to(RELATIONS[q.relation], q.other)}?"

    def is_between(self, q: m.IsBetween) -> str:
        return f"Ist {the(q.thing)} zwischen {the(q.first, 'dat')} und {the(q.second, 'dat')}?"

    def is_background(self, q: m.IsBackground) -> str:
        return f"Zeigt das Bild {BACKGROUNDS[q.background]}?"

    def what_colour(self, q: m.WhatColour) -> str:
        return f"Welche Farbe hat {the(q.thing)}?"

    def what_plate_colour(self, q: m.WhatPlateColour) -> str:
        return f"Welche Farbe hat {plate_of(q.thing)}?"

    def what_is_related(self, q: m.WhatIsRelated) -> str:
        return f"Was ist {related_to(RELATIONS[q.relation], q.other)}?"

    def what_is_on_plate(self, q: m.WhatIsOnPlate) -> str:
        return f"Was ist {on_plate(q.plate)}?"

    def which_of_category(self, q: m.WhichOfCategory) -> str:
        gender, noun, _ = LEXICON[q.category]
        return f"{WHICH[gender]} {noun} ist auf dem Bild zu sehen?"

    def what_category_on_plate(self, q: m.WhatCategoryOnPlate) -> str:
        return f"Was für eine Art von Objekt ist {on_plate(q.plate)}?"

    def what_background(self, q: m.WhatBackground) -> str:
        return "Was ist im Hintergrund des Bildes zu sehen?"

    def choose_colour(self, q: m.ChooseColour) -> str:
        return f"Ist {the(q.thing)} {COLOURS[q.first]} oder {COLOURS[q.second]}?"

    def choose_plate_colour(self, q: m.ChoosePlateColour) -> str:
        return f"Ist {plate_of(q.thing)} {COLOURS[q.first]} oder {COLOURS[q.second]}?"

    def choose_size(self, q: m.ChooseSize) -> str:
        return f"Ist {the(q.thing)} klein oder groß?"

    def choose_relation(self, q: m.ChooseRelation) -> str:
        return (
            f"Ist {the(q.thing)} {related_to('über oder unter' if q.vertical else 'links oder rechts von', q.other)}?"
        )

    def choose_kind(self, q: m.ChooseKind) -> str:
        return f"Was ist auf dem Bild zu sehen: {a(m.Phrase(q.first))} oder {a(m.Phrase(q.second))}?"

    def choose_category_on_plate(self, q: m.ChooseCategoryOnPlate) -> str:
        return f"Ist das Objekt {on_plate(q.plate)} {a(m.Phrase(q.first))} oder {a(m.Phrase(q.second))}?"

    def choose_background(self, q: m.ChooseBackground) -> str:
        return f"Zeigt das Bild {BACKGROUNDS[q.first]} oder {BACKGROUNDS[q.second]}?"

    def are_both(self, q: m.AreBoth) -> str:
        return f"Gibt es auf dem Bild sowohl {a(q.first, 'acc')} als auch {a(q.second, 'acc')}?"

    def is_either(self, q: m.IsEither) -> str:
        return f"Gibt es auf dem Bild {a(q.first, 'acc')} oder {a(q.second, 'acc')}?"

    def is_without(self, q: m.IsWithout) -> str:
        return f"Gibt es auf dem Bild {a(q.first, 'acc')}, aber {no(q.second)}?"

    def are_both_size(self, q: m.AreBothSize) -> str:
        return f"Sind {the(q.first)} und {the(q.second)} beide {SIZES[q.size]}?"

    def are_same_colour(self, q: m.AreSameColour) -> str:
        return f"Haben {the(q.first)} und {the(q.second)} dieselbe Farbe?"

    def are_plates_same_colour(self, q: m.ArePlatesSameColour) -> str:
        return f"Haben {plate_of(q.first)} und {plate_of(q.second)} dieselbe Farbe?"

    def are_same_size(self, q: m.AreSameSize) -> str:
        return f"Sind {the(q.first)} und {the(q.second)} gleich groß?"

    def which_is_larger(self, q: m.WhichIsLarger) -> str:
        return f"Was ist größer: {the(q.first)} oder {the(q.second)}?"

    def are_there_more(self, q: m.AreThereMore) -> str:
        return f"Gibt es auf dem Bild mehr {plural(q.first)} als {plural(q.second)}?"

    def how_many(self, q: m.HowMany) -> str:
        return f"Wie viele {plural(q.noun)} sind auf dem Bild zu sehen?"


GRAMMAR = German()
