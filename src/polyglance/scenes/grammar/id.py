"""Indonesian: a counter between number and noun, adjectives after the noun, `itu` for definite nouns."""

from typing import Final

from polyglance.scenes import meaning as m
from polyglance.scenes.grammar.base import Grammar

NOUNS: Final = {
    "dog": "anjing", "cat": "kucing", "horse": "kuda", "cow": "sapi", "pig": "babi", "rabbit": "kelinci",
    "elephant": "gajah", "lion": "singa", "giraffe": "jerapah", "turtle": "kura-kura", "frog": "katak",
    "penguin": "penguin", "fish": "ikan", "snail": "siput",
    "apple": "apel", "banana": "pisang", "lemon": "lemon", "pineapple": "nanas", "pear": "pir",
    "peach": "persik", "mango": "mangga", "kiwi": "kiwi", "coconut": "kelapa",
    "palm tree": "pohon palem", "fir tree": "pohon cemara", "cactus": "kaktus", "rose": "mawar", "tulip": "tulip",
    "sunflower": "bunga matahari", "clover": "semanggi", "seedling": "tunas",
    "car": "mobil", "bus": "bus", "truck": "truk", "tractor": "traktor", "bicycle": "sepeda",
    "motorcycle": "sepeda motor", "airplane": "pesawat", "helicopter": "helikopter", "rocket": "roket",
    "sailboat": "perahu layar", "locomotive": "lokomotif", "canoe": "kano",
    "dress": "gaun", "t-shirt": "kaus", "coat": "mantel", "top hat": "topi pesulap", "scarf": "syal",
    "tie": "dasi", "boot": "sepatu bot", "cap": "topi bisbol",
    "guitar": "gitar", "trumpet": "trompet", "violin": "biola", "drum": "drum", "saxophone": "saksofon",
    "banjo": "banjo",
    "hammer": "palu", "axe": "kapak", "wrench": "kunci pas", "broom": "sapu", "pencil": "pensil",
    "paintbrush": "kuas", "flashlight": "senter", "magnifying glass": "kaca pembesar",
    "circle": "lingkaran", "square": "persegi", "triangle": "segitiga", "star": "bintang", "heart": "bentuk hati",
    "diamond": "belah ketupat", "cross": "palang", "crescent": "bulan sabit",
    "animal": "hewan", "fruit": "buah", "plant": "tanaman", "vehicle": "kendaraan", "garment": "pakaian",
    "instrument": "alat musik", "tool": "perkakas", "shape": "bentuk",
}  # fmt: skip
COUNTED_BY: Final = {
    "ekor": (
        "animal", "dog", "cat", "horse", "cow", "pig", "rabbit", "elephant", "lion", "giraffe", "turtle", "frog",
        "penguin", "fish", "snail",
    ),
    "batang": ("palm tree", "fir tree", "cactus", "pencil"),
    "tangkai": ("rose", "tulip", "sunflower", "clover"),
    "helai": ("t-shirt", "scarf", "tie"),
    "potong": ("garment",),
    "butir": ("fruit", "coconut"),
    "bilah": ("axe",),
}  # fmt: skip
"""Counter -> the nouns that take it; all others take `buah`."""
COUNTERS: Final = {name: counter for counter, names in COUNTED_BY.items() for name in names}

SIZES: Final = {"small": "kecil", "large": "besar"}
COLOURS: Final = {
    "red": "merah", "orange": "oranye", "yellow": "kuning", "green": "hijau",
    "blue": "biru", "purple": "ungu", "white": "putih", "black": "hitam",
}  # fmt: skip
NUMERALS: Final = {2: "dua", 3: "tiga", 4: "empat", 5: "lima", 6: "enam"}
RELATIONS: Final = {
    "left": "di sebelah kiri", "right": "di sebelah kanan", "above": "di atas", "below": "di bawah",
}  # fmt: skip
BACKGROUND_PLACES: Final = {
    "meadow": "di padang rumput", "sea": "di laut", "night": "pada malam hari", "desert": "di gurun",
}  # fmt: skip
BACKGROUNDS: Final = {"meadow": "padang rumput", "sea": "laut", "night": "langit malam", "desert": "gurun"}


def counter(name: str) -> str:
    return COUNTERS.get(name, "buah")


def bare(phrase: m.Phrase) -> str:
    """Noun, adjectives and plate: `bintang merah kecil di piring biru`."""
    words = [NOUNS[phrase.noun]]
    if phrase.colour:
        words.append(COLOURS[phrase.colour])
    if phrase.size:
        words.append(SIZES[phrase.size])
    if phrase.plate:
        words.append(f"di piring {COLOURS[phrase.plate]}")
    return " ".join(words)


def a(phrase: m.Phrase) -> str:
    """`seekor anjing kecil`, `sebuah bintang merah`."""
    return f"se{counter(phrase.noun)} {bare(phrase)}"


def the(phrase: m.Phrase) -> str:
    return f"{bare(phrase)} itu"


def plate_of(phrase: m.Phrase) -> str:
    """Names the plate that a thing is on; `di bawah` could also mean a plate lower in the picture."""
    return f"piring tempat {the(phrase)} berada"


ANSWERS: Final = {
    **NOUNS,
    **COLOURS, **SIZES, **RELATIONS, **BACKGROUNDS,
    "yes": "ya", "no": "tidak",
}  # fmt: skip


class Indonesian(Grammar):
    code = "id"
    answers = ANSWERS

    def shows(self, f: m.Shows) -> str:
        return a(f.thing)

    def shows_count(self, f: m.ShowsCount) -> str:
        return f"{NUMERALS[f.count]} {counter(f.noun)} {NOUNS[f.noun]}"

    def shows_related(self, f: m.ShowsRelated) -> str:
        return f"{a(f.thing)} {RELATIONS[f.relation]} {a(f.other)}"

    def shows_between(self, f: m.ShowsBetween) -> str:
        return f"{a(f.thing)} di antara {a(f.first)} dan {a(f.second)}"

    def shows_background(self, f: m.ShowsBackground) -> str:
        return BACKGROUND_PLACES[f.background]

    def is_there(self, q: m.IsThere) -> str:
        return f"Apakah di gambar ini ada {bare(q.thing)}?"

    def is_there_category(self, q: m.IsThereCategory) -> str:
        return f"Apakah di gambar ini ada {bare(q.thing)}?"

    def is_colour(self, q: m.IsColour) -> str:
        return f"Apakah {the(q.thing)} berwarna {COLOURS[q.colour]}?"

    def is_plate_colour(self, q: m.IsPlateColour) -> str:
        return f"Apakah {plate_of(q.thing)} berwarna {COLOURS[q.colour]}?"

    def is_size(self, q: m.IsSize) -> str:
        return f"Apakah {the(q.thing)} {SIZES[q.size]}?"

    def is_related(self, q: m.IsRelated) -> str:
        return f"Apakah {the(q.thing)} berada {RELATIONS[q.relation]} {the(q.other)}?"

    def is_between(self, q: m.IsBetween) -> str:
        return f"Apakah {the(q.thing)} berada di antara {the(q.first)} dan {the(q.second)}?"

    def is_background(self, q: m.IsBackground) -> str:
        return f"Apakah gambar ini menampilkan {BACKGROUNDS[q.background]}?"

    def what_colour(self, q: m.WhatColour) -> str:
        return f"Apa warna {the(q.thing)}?"

    def what_plate_colour(self, q: m.WhatPlateColour) -> str:
        return f"Apa warna {plate_of(q.thing)}?"

    def what_is_related(self, q: m.WhatIsRelated) -> str:
        return f"Apa yang ada {RELATIONS[q.relation]} {the(q.other)}?"

    def what_is_on_plate(self, q: m.WhatIsOnPlate) -> str:
        return f"Apa yang ada di piring {COLOURS[q.plate]} itu?"

    def which_of_category(self, q: m.WhichOfCategory) -> str:
        noun = NOUNS[q.category]
        return f"{noun[0].upper()}{noun[1:]} apa yang ada di gambar ini?"

    def what_category_on_plate(self, q: m.WhatCategoryOnPlate) -> str:
        return f"Yang ada di piring {COLOURS[q.plate]} itu termasuk kategori apa?"

    def what_background(self, q: m.WhatBackground) -> str:
        return "Apa latar belakang gambar ini?"

    def choose_colour(self, q: m.ChooseColour) -> str:
        return f"Apa warna {the(q.thing)}, {COLOURS[q.first]} atau {COLOURS[q.second]}?"

    def choose_plate_colour(self, q: m.ChoosePlateColour) -> str:
        return f"Apa warna {plate_of(q.thing)}, {COLOURS[q.first]} atau {COLOURS[q.second]}?"

    def choose_size(self, q: m.ChooseSize) -> str:
        return f"Apakah {the(q.thing)} kecil atau besar?"

    def choose_relation(self, q: m.ChooseRelation) -> str:
        first, second = ("above", "below") if q.vertical else ("left", "right")
        return f"Apakah {the(q.thing)} berada {RELATIONS[first]} atau {RELATIONS[second]} {the(q.other)}?"

    def choose_kind(self, q: m.ChooseKind) -> str:
        return f"Manakah yang ada di gambar ini, {NOUNS[q.first]} atau {NOUNS[q.second]}?"

    def choose_category_on_plate(self, q: m.ChooseCategoryOnPlate) -> str:
        return f"Manakah yang ada di piring {COLOURS[q.plate]} itu, {NOUNS[q.first]} atau {NOUNS[q.second]}?"

    def choose_background(self, q: m.ChooseBackground) -> str:
        return f"Manakah yang ditampilkan gambar ini, {BACKGROUNDS[q.first]} atau {BACKGROUNDS[q.second]}?"

    def are_both(self, q: m.AreBoth) -> str:
        return f"Apakah di gambar ini ada {bare(q.first)} dan juga {bare(q.second)}?"

    def is_either(self, q: m.IsEither) -> str:
        return f"Apakah di gambar ini ada {bare(q.first)} atau {bare(q.second)}, setidaknya salah satunya?"

    def is_without(self, q: m.IsWithout) -> str:
        return f"Apakah di gambar ini ada {bare(q.first)}, tetapi tidak ada {bare(q.second)}?"

    def are_both_size(self, q: m.AreBothSize) -> str:
        return f"Apakah {the(q.first)} dan {the(q.second)} sama-sama {SIZES[q.size]}?"

    def are_same_colour(self, q: m.AreSameColour) -> str:
        return f"Apakah {the(q.first)} dan {the(q.second)} berwarna sama?"

    def are_plates_same_colour(self, q: m.ArePlatesSameColour) -> str:
        return f"Apakah {plate_of(q.first)} dan {plate_of(q.second)} berwarna sama?"

    def are_same_size(self, q: m.AreSameSize) -> str:
        return f"Apakah {the(q.first)} dan {the(q.second)} berukuran sama?"

    def which_is_larger(self, q: m.WhichIsLarger) -> str:
        return f"Manakah yang lebih besar, {the(q.first)} atau {the(q.second)}?"

    def are_there_more(self, q: m.AreThereMore) -> str:
        return f"Apakah di gambar ini ada lebih banyak {NOUNS[q.first]} daripada {NOUNS[q.second]}?"

    def how_many(self, q: m.HowMany) -> str:
        return f"Berapa jumlah {NOUNS[q.noun]} di gambar ini?"


GRAMMAR = Indonesian()
