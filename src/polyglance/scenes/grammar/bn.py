"""Bengali: the classifier টি (একটি before the noun, -টি after a definite one) and genitives before postpositions."""

from typing import Final

from polyglance.scenes import meaning as m
from polyglance.scenes.grammar.base import Grammar

NOUNS: Final = {
    "animal": "প্রাণী", "dog": "কুকুর", "cat": "বিড়াল", "horse": "ঘোড়া", "cow": "গরু", "pig": "শূকর", "rabbit": "খরগোশ",
    "elephant": "হাতি", "lion": "সিংহ", "giraffe": "জিরাফ", "turtle": "কচ্ছপ", "frog": "ব্যাঙ", "penguin": "পেঙ্গুইন",
    "fish": "মাছ", "snail": "শামুক",
    "fruit": "ফল", "apple": "আপেল", "banana": "কলা", "lemon": "লেবু", "pineapple": "আনারস", "pear": "নাশপাতি",
    "peach": "পিচ ফল", "mango": "আম", "kiwi": "কিউই ফল", "coconut": "নারকেল",
    "plant": "উদ্ভিদ", "palm tree": "পাম গাছ", "fir tree": "পাইন গাছ", "cactus": "ক্যাকটাস", "rose": "গোলাপ",
    "tulip": "টিউলিপ", "sunflower": "সূর্যমুখী", "clover": "ক্লোভার", "seedling": "চারাগাছ",
    "vehicle": "যানবাহন", "car": "গাড়ি", "bus": "বাস", "truck": "ট্রাক", "tractor": "ট্রাক্টর", "bicycle": "সাইকেল",
    "motorcycle": "মোটরসাইকেল", "airplane": "বিমান", "helicopter": "হেলিকপ্টার", "rocket": "রকেট",
    "sailboat": "পালতোলা নৌকা", "locomotive": "ট্রেনের ইঞ্জিন", "canoe": "ডিঙি নৌকা",
    "garment": "পোশাক", "dress": "ফ্রক", "t-shirt": "টি-শার্ট", "coat": "কোট", "top hat": "টপ হ্যাট", "scarf": "মাফলার",
    "tie": "টাই", "boot": "বুট", "cap": "ক্যাপ",
    "instrument": "বাদ্যযন্ত্র", "guitar": "গিটার", "trumpet": "ট্রাম্পেট", "violin": "বেহালা", "drum": "ড্রাম",
    "saxophone": "স্যাক্সোফোন", "banjo": "ব্যাঞ্জো",
    "tool": "সরঞ্জাম", "hammer": "হাতুড়ি", "axe": "কুড়াল", "wrench": "রেঞ্চ", "broom": "ঝাড়ু", "pencil": "পেনসিল",
    "paintbrush": "তুলি", "flashlight": "টর্চ", "magnifying glass": "আতশ কাচ",
    "shape": "আকৃতি", "circle": "বৃত্ত", "square": "বর্গক্ষেত্র", "triangle": "ত্রিভুজ", "star": "তারা", "heart": "হৃদয়",
    "diamond": "রম্বস", "cross": "ক্রস", "crescent": "অর্ধচন্দ্র",
}  # fmt: skip
SIZES: Final = {"small": "ছোট", "large": "বড়"}
COLOURS: Final = {
    "red": "লাল", "orange": "কমলা রঙের", "yellow": "হলুদ", "green": "সবুজ", "blue": "নীল", "purple": "বেগুনি",
    "white": "সাদা", "black": "কালো",
}  # fmt: skip
NUMERALS: Final = {2: "দুটি", 3: "তিনটি", 4: "চারটি", 5: "পাঁচটি", 6: "ছয়টি"}
RELATIONS: Final = {"left": "বাঁ দিকে", "right": "ডান দিকে", "above": "উপরে", "below": "নিচে"}
BACKGROUND_PLACES: Final = {"meadow": "ঘাসের মাঠে", "sea": "সমুদ্রে", "night": "রাতের বেলা", "desert": "মরুভূমিতে"}
BACKGROUNDS: Final = {"meadow": "ঘাসের মাঠ", "sea": "সমুদ্র", "night": "রাতের আকাশ", "desert": "মরুভূমি"}


def genitive(words: str) -> str:
    """-র after a vowel sign, -য়ের after a vowel letter, -ের after a consonant: তারার, টাইয়ের, কুকুরের."""
    if words[-1] in "ািীুূেো":
        return words + "র"
    return words + ("য়ের" if words[-1] in "ইউও" else "ের")


def on_plate(colour: str) -> str:
    return f"{COLOURS[colour]} প্লেটের উপর"


def bare(phrase: m.Phrase) -> str:
    """All words without the classifier: `নীল প্লেটের উপর থাকা ছোট লাল তারা`."""
    plate = f"{on_plate(phrase.plate)} থাকা" if phrase.plate else ""
    size = SIZES[phrase.size] if phrase.size else ""
    colour = COLOURS[phrase.colour] if phrase.colour else ""
    return " ".join(word for word in (plate, size, colour, NOUNS[phrase.noun]) if word)


def a(phrase: m.Phrase) -> str:
    return f"একটি {bare(phrase)}"


def any_(phrase: m.Phrase) -> str:
    return f"কোনো {bare(phrase)}"


def the(phrase: m.Phrase) -> str:
    return f"{bare(phrase)}টি"


def of_the(phrase: m.Phrase) -> str:
    return genitive(the(phrase))


def plate_of(phrase: m.Phrase) -> str:
    """Names the plate that a thing is on; `নিচে` could also mean a plate lower in the picture."""
    return f"যে প্লেটে {the(phrase)} আছে"


ANSWERS: Final = {
    **NOUNS,
    **COLOURS, **SIZES, **RELATIONS, **BACKGROUNDS,
    "yes": "হ্যাঁ", "no": "না", "orange": "কমলা",
}  # fmt: skip


class Bengali(Grammar):
    code = "bn"
    answers = ANSWERS
    full_stop = "।"

    def shows(self, f: m.Shows) -> str:
        return a(f.thing)

    def shows_count(self, f: m.ShowsCount) -> str:
        return f"{NUMERALS[f.count]} {NOUNS[f.noun]}"

    def shows_related(self, f: m.ShowsRelated) -> str:
        return f"{genitive(a(f.other))} {RELATIONS[f.relation]} {a(f.thing)}"

    def shows_between(self, f: m.ShowsBetween) -> str:
        return f"{a(f.first)} এবং {genitive(a(f.second))} মাঝখানে {a(f.thing)}"

    def shows_background(self, f: m.ShowsBackground) -> str:
        return BACKGROUND_PLACES[f.background]

    def is_there(self, q: m.IsThere) -> str:
        return f"ছবিতে কি {any_(q.thing)} আছে?"

    def is_there_category(self, q: m.IsThereCategory) -> str:
        return f"ছবিতে কি {any_(q.thing)} আছে?"

    def is_colour(self, q: m.IsColour) -> str:
        return f"{the(q.thing)} কি {COLOURS[q.colour]}?"

    def is_plate_colour(self, q: m.IsPlateColour) -> str:
        return f"{plate_of(q.thing)}, সেটি কি {COLOURS[q.colour]}?"

    def is_size(self, q: m.IsSize) -> str:
        return f"{the(q.thing)} কি {SIZES[q.size]}?"

    def is_related(self, q: m.IsRelated) -> str:
        return f"{the(q.thing)} কি {of_the(q.other)} {RELATIONS[q.relation]} আছে?"

    def is_between(self, q: m.IsBetween) -> str:
        return f"{the(q.thing)} কি {the(q.first)} এবং {of_the(q.second)} মাঝখানে আছে?"

    def is_background(self, q: m.IsBackground) -> str:
        return f"ছবির পটভূমিতে কি {BACKGROUNDS[q.background]} আছে?"

    def what_colour(self, q: m.WhatColour) -> str:
        return f"{of_the(q.thing)} রং কী?"

    def what_plate_colour(self, q: m.WhatPlateColour) -> str:
        return f"{plate_of(q.thing)}, সেটির রং কী?"

    def what_is_related(self, q: m.WhatIsRelated) -> str:
        return f"{of_the(q.other)} {RELATIONS[q.relation]} কী আছে?"

    def what_is_on_plate(self, q: m.WhatIsOnPlate) -> str:
        return f"{on_plate(q.plate)} কী আছে?"

    def which_of_category(self, q: m.WhichOfCategory) -> str:
        return f"ছবিতে কোন {NOUNS[q.category]} আছে?"

    def what_category_on_plate(self, q: m.WhatCategoryOnPlate) -> str:
        return f"{on_plate(q.plate)} কী ধরনের জিনিস আছে?"

    def what_background(self, q: m.WhatBackground) -> str:
        return "ছবির পটভূমিতে কী আছে?"

    def choose_colour(self, q: m.ChooseColour) -> str:
        return f"{the(q.thing)} {COLOURS[q.first]} না {COLOURS[q.second]}?"

    def choose_plate_colour(self, q: m.ChoosePlateColour) -> str:
        return f"{plate_of(q.thing)}, সেটি {COLOURS[q.first]} না {COLOURS[q.second]}?"

    def choose_size(self, q: m.ChooseSize) -> str:
        return f"{the(q.thing)} ছোট না বড়?"

    def choose_relation(self, q: m.ChooseRelation) -> str:
        either = "উপরে না নিচে" if q.vertical else "বাঁ দিকে না ডান দিকে"
        return f"{the(q.thing)} {of_the(q.other)} {either}?"

    def choose_kind(self, q: m.ChooseKind) -> str:
        return f"ছবিতে কোনটি আছে, {NOUNS[q.first]} না {NOUNS[q.second]}?"

    def choose_category_on_plate(self, q: m.ChooseCategoryOnPlate) -> str:
        return f"{on_plate(q.plate)} কী আছে, {NOUNS[q.first]} না {NOUNS[q.second]}?"

    def choose_background(self, q: m.ChooseBackground) -> str:
        return f"ছবির পটভূমিতে কী আছে, {BACKGROUNDS[q.first]} না {BACKGROUNDS[q.second]}?"

    def are_both(self, q: m.AreBoth) -> str:
        return f"ছবিতে কি {bare(q.first)}ও আছে, {bare(q.second)}ও আছে?"

    def is_either(self, q: m.IsEither) -> str:
        return f"ছবিতে কি {any_(q.first)} বা {any_(q.second)} আছে?"

    def is_without(self, q: m.IsWithout) -> str:
        return f"ছবিতে কি {a(q.first)} আছে, কিন্তু {any_(q.second)} নেই?"

    def are_both_size(self, q: m.AreBothSize) -> str:
        return f"{the(q.first)} এবং {the(q.second)} দুটিই কি {SIZES[q.size]}?"

    def are_same_colour(self, q: m.AreSameColour) -> str:
        return f"{the(q.first)} এবং {the(q.second)} কি একই রঙের?"

    def are_plates_same_colour(self, q: m.ArePlatesSameColour) -> str:
        return f"{plate_of(q.first)} এবং {plate_of(q.second)}, সেগুলি কি একই রঙের?"

    def are_same_size(self, q: m.AreSameSize) -> str:
        return f"{the(q.first)} এবং {the(q.second)} কি একই মাপের?"

    def which_is_larger(self, q: m.WhichIsLarger) -> str:
        return f"কোনটি বেশি বড়, {the(q.first)} না {the(q.second)}?"

    def are_there_more(self, q: m.AreThereMore) -> str:
        return f"ছবিতে কি {genitive(NOUNS[q.second])} চেয়ে {NOUNS[q.first]} বেশি আছে?"

    def how_many(self, q: m.HowMany) -> str:
        return f"ছবিতে কয়টি {NOUNS[q.noun]} আছে?"


GRAMMAR = Bengali()
