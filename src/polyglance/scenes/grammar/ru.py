"""Russian: three genders, adjectives that agree with their noun, cases after prepositions and counts."""

from typing import Final, NamedTuple

from polyglance.scenes import meaning as m
from polyglance.scenes.grammar.base import GenderFinder, Grammar
from polyglance.scenes.world import CATEGORY_OF

NOMINATIVE, GENITIVE, INSTRUMENTAL = range(3)


class Noun(NamedTuple):
    """The forms of a noun.

    many: the form after 5, 6 and `сколько`. few: the form after 2 to 4, if it is not the genitive singular.
    """

    gender: str
    singular: tuple[str, str, str]
    many: str
    few: str | None = None


NOUNS: Final = {
    "dog": Noun("f", ("собака", "собаки", "собакой"), "собак"),
    "cat": Noun("f", ("кошка", "кошки", "кошкой"), "кошек"),
    "horse": Noun("f", ("лошадь", "лошади", "лошадью"), "лошадей"),
    "cow": Noun("f", ("корова", "коровы", "коровой"), "коров"),
    "pig": Noun("f", ("свинья", "свиньи", "свиньёй"), "свиней"),
    "rabbit": Noun("m", ("кролик", "кролика", "кроликом"), "кроликов"),
    "elephant": Noun("m", ("слон", "слона", "слоном"), "слонов"),
    "lion": Noun("m", ("лев", "льва", "львом"), "львов"),
    "giraffe": Noun("m", ("жираф", "жирафа", "жирафом"), "жирафов"),
    "turtle": Noun("f", ("черепаха", "черепахи", "черепахой"), "черепах"),
    "frog": Noun("f", ("лягушка", "лягушки", "лягушкой"), "лягушек"),
    "penguin": Noun("m", ("пингвин", "пингвина", "пингвином"), "пингвинов"),
    "fish": Noun("f", ("рыба", "рыбы", "рыбой"), "рыб"),
    "snail": Noun("f", ("улитка", "улитки", "улиткой"), "улиток"),
    "apple": Noun("n", ("яблоко", "яблока", "яблоком"), "яблок"),
    "banana": Noun("m", ("банан", "банана", "бананом"), "бананов"),
    "lemon": Noun("m", ("лимон", "лимона", "лимоном"), "лимонов"),
    "pineapple": Noun("m", ("ананас", "ананаса", "ананасом"), "ананасов"),
    "pear": Noun("f", ("груша", "груши", "грушей"), "груш"),
    "peach": Noun("m", ("персик", "персика", "персиком"), "персиков"),
    "mango": Noun("n", ("манго", "манго", "манго"), "манго"),
    "kiwi": Noun("n", ("киви", "киви", "киви"), "киви"),
    "coconut": Noun("m", ("кокос", "кокоса", "кокосом"), "кокосов"),
    "palm tree": Noun("f", ("пальма", "пальмы", "пальмой"), "пальм"),
    "fir tree": Noun("f", ("ёлка", "ёлки", "ёлкой"), "ёлок"),
    "cactus": Noun("m", ("кактус", "кактуса", "кактусом"), "кактусов"),
    "rose": Noun("f", ("роза", "розы", "розой"), "роз"),
    "tulip": Noun("m", ("тюльпан", "тюльпана", "тюльпаном"), "тюльпанов"),
    "sunflower": Noun("m", ("подсолнух", "подсолнуха", "подсолнухом"), "подсолнухов"),
    "clover": Noun("m", ("листок клевера", "листка клевера", "листком клевера"), "листков клевера"),
    "seedling": Noun("m", ("росток", "ростка", "ростком"), "ростков"),
    "car": Noun("m", ("автомобиль", "автомобиля", "автомобилем"), "автомобилей"),
    "bus": Noun("m", ("автобус", "автобуса", "автобусом"), "автобусов"),
    "truck": Noun("m", ("грузовик", "грузовика", "грузовиком"), "грузовиков"),
    "tractor": Noun("m", ("трактор", "трактора", "трактором"), "тракторов"),
    "bicycle": Noun("m", ("велосипед", "велосипеда", "велосипедом"), "велосипедов"),
    "motorcycle": Noun("m", ("мотоцикл", "мотоцикла", "мотоциклом"), "мотоциклов"),
    "airplane": Noun("m", ("самолёт", "самолёта", "самолётом"), "самолётов"),
    "helicopter": Noun("m", ("вертолёт", "вертолёта", "вертолётом"), "вертолётов"),
    "rocket": Noun("f", ("ракета", "ракеты", "ракетой"), "ракет"),
    "sailboat": Noun("m", ("парусник", "парусника", "парусником"), "парусников"),
    "locomotive": Noun("m", ("паровоз", "паровоза", "паровозом"), "паровозов"),
    "canoe": Noun("n", ("каноэ", "каноэ", "каноэ"), "каноэ"),
    "dress": Noun("n", ("платье", "платья", "платьем"), "платьев"),
    "t-shirt": Noun("f", ("футболка", "футболки", "футболкой"), "футболок"),
    "coat": Noun("n", ("пальто", "пальто", "пальто"), "пальто"),
    "top hat": Noun("f", ("шляпа", "шляпы", "шляпой"), "шляп"),
    "scarf": Noun("m", ("шарф", "шарфа", "шарфом"), "шарфов"),
    "tie": Noun("m", ("галстук", "галстука", "галстуком"), "галстуков"),
    "boot": Noun("m", ("ботинок", "ботинка", "ботинком"), "ботинок"),
    "cap": Noun("f", ("кепка", "кепки", "кепкой"), "кепок"),
    "guitar": Noun("f", ("гитара", "гитары", "гитарой"), "гитар"),
    "trumpet": Noun(
        "f", ("музыкальная труба", "музыкальной трубы", "музыкальной трубой"), "музыкальных труб", "музыкальные трубы"
    ),
    "violin": Noun("f", ("скрипка", "скрипки", "скрипкой"), "скрипок"),
    "drum": Noun("m", ("барабан", "барабана", "барабаном"), "барабанов"),
    "saxophone": Noun("m", ("саксофон", "саксофона", "саксофоном"), "саксофонов"),
    "banjo": Noun("n", ("банджо", "банджо", "банджо"), "банджо"),
    "hammer": Noun("m", ("молоток", "молотка", "молотком"), "молотков"),
    "axe": Noun("m", ("топор", "топора", "топором"), "топоров"),
    "wrench": Noun("m", ("гаечный ключ", "гаечного ключа", "гаечным ключом"), "гаечных ключей", "гаечных ключа"),
    "broom": Noun("f", ("метла", "метлы", "метлой"), "мётел"),
    "pencil": Noun("m", ("карандаш", "карандаша", "карандашом"), "карандашей"),
    "paintbrush": Noun("f", ("кисточка", "кисточки", "кисточкой"), "кисточек"),
    "flashlight": Noun("m", ("фонарик", "фонарика", "фонариком"), "фонариков"),
    "magnifying glass": Noun("f", ("лупа", "лупы", "лупой"), "луп"),
    "circle": Noun("m", ("круг", "круга", "кругом"), "кругов"),
    "square": Noun("m", ("квадрат", "квадрата", "квадратом"), "квадратов"),
    "triangle": Noun("m", ("треугольник", "треугольника", "треугольником"), "треугольников"),
    "star": Noun("f", ("звезда", "звезды", "звездой"), "звёзд"),
    "heart": Noun("n", ("сердце", "сердца", "сердцем"), "сердец"),
    "diamond": Noun("m", ("ромб", "ромба", "ромбом"), "ромбов"),
    "cross": Noun("m", ("крест", "креста", "крестом"), "крестов"),
    "crescent": Noun("m", ("полумесяц", "полумесяца", "полумесяцем"), "полумесяцев"),
    "animal": Noun("n", ("животное", "животного", "животным"), "животных", "животных"),
    "fruit": Noun("m", ("фрукт", "фрукта", "фруктом"), "фруктов"),
    "plant": Noun("n", ("растение", "растения", "растением"), "растений"),
    "vehicle": Noun(
        "n", ("транспортное средство", "транспортного средства", "транспортным средством"),
        "транспортных средств", "транспортных средства",
    ),
    "garment": Noun("m", ("предмет одежды", "предмета одежды", "предметом одежды"), "предметов одежды"),
    "instrument": Noun(
        "m", ("музыкальный инструмент", "музыкального инструмента", "музыкальным инструментом"),
        "музыкальных инструментов", "музыкальных инструмента",
    ),
    "tool": Noun(
        "m", ("рабочий инструмент", "рабочего инструмента", "рабочим инструментом"),
        "рабочих инструментов", "рабочих инструмента",
    ),
    "shape": Noun("f", ("фигура", "фигуры", "фигурой"), "фигур"),
}  # fmt: skip

HARD: Final = {"m": ("ый", "ого", "ым"), "f": ("ая", "ой", "ой"), "n": ("ое", "ого", "ым")}
SOFT: Final = {"m": ("ий", "его", "им"), "f": ("яя", "ей", "ей"), "n": ("ее", "его", "им")}
SMALL: Final = {"m": ("ий", "ого", "им"), "f": ("ая", "ой", "ой"), "n": ("ое", "ого", "им")}
LARGE: Final = SMALL | {"m": ("ой", "ого", "им")}
ADJECTIVES: Final = {
    "red": ("красн", HARD), "orange": ("оранжев", HARD), "yellow": ("жёлт", HARD), "green": ("зелён", HARD),
    "blue": ("син", SOFT), "purple": ("фиолетов", HARD), "white": ("бел", HARD), "black": ("чёрн", HARD),
    "small": ("маленьк", SMALL), "large": ("больш", LARGE),
}  # fmt: skip
PLURAL_SIZES: Final = {"small": "маленькие", "large": "большие"}

NUMERALS: Final = {2: "два", 3: "три", 4: "четыре", 5: "пять", 6: "шесть"}
RELATIONS: Final = {
    "left": ("слева от", GENITIVE), "right": ("справа от", GENITIVE),
    "above": ("над", INSTRUMENTAL), "below": ("под", INSTRUMENTAL),
}  # fmt: skip
BACKGROUND_PLACES: Final = {"meadow": "на лугу", "sea": "в море", "night": "ночью", "desert": "в пустыне"}
BACKGROUNDS: Final = {"meadow": "луг", "sea": "море", "night": "ночное небо", "desert": "пустыня"}
BACKGROUND_GENDERS: Final = {"meadow": "m", "sea": "n", "night": "n", "desert": "f"}
DEPICTED: Final = {"m": "изображён", "f": "изображена", "n": "изображено"}
WHICH: Final = {"m": "какой", "f": "какая", "n": "какое"}


def adjective(name: str, gender: str, case: int = NOMINATIVE) -> str:
    stem, endings = ADJECTIVES[name]
    return stem + endings[gender][case]


HARD_TO_SAY_AFTER_S: Final = ("зв", "льв", "св", "ск", "сл", "шл")


def on_plate(colour: str) -> str:
    """`на синей тарелке`: the prepositional of a feminine adjective is its genitive."""
    return f"на {adjective(colour, 'f', GENITIVE)} тарелке"


def phrase(p: m.Phrase, case: int = NOMINATIVE) -> str:
    """Adjectives, noun and plate: `маленькая красная звезда на синей тарелке`."""
    noun = NOUNS[p.noun]
    words = [adjective(name, noun.gender, case) for name in (p.size, p.colour) if name] + [noun.singular[case]]
    return " ".join([*words, on_plate(p.plate)] if p.plate else words)


def counted(count: int, name: str) -> str:
    """`две собаки`, `три льва`, `пять яблок`."""
    noun = NOUNS[name]
    if count > 4:
        return f"{NUMERALS[count]} {noun.many}"
    numeral = "две" if count == 2 and noun.gender == "f" else NUMERALS[count]
    return f"{numeral} {noun.few or noun.singular[GENITIVE]}"


def related(relation: str, other: m.Phrase) -> str:
    preposition, case = RELATIONS[relation]
    return f"{preposition} {phrase(other, case)}"


def between(first: m.Phrase, second: m.Phrase) -> str:
    return f"между {phrase(first, INSTRUMENTAL)} и {phrase(second, INSTRUMENTAL)}"


def plate_with(p: m.Phrase) -> str:
    """`тарелка с собакой`; `под` could also mean a plate lower in the picture."""
    words = phrase(p, INSTRUMENTAL)
    return f"тарелка {'со' if words.startswith(HARD_TO_SAY_AFTER_S) else 'с'} {words}"


def of_colour(first: str, second: str) -> str:
    return f"{adjective(first, 'm', GENITIVE)} или {adjective(second, 'm', GENITIVE)}"


def are_animals(*names: str) -> bool:
    """Whether questions about them use `кто` rather than `что`."""
    return all(CATEGORY_OF.get(name, name) == "animal" for name in names)


def question(text: str) -> str:
    return text[0].upper() + text[1:] + "?"


ANSWERS: Final = {
    **{name: noun.singular[NOMINATIVE] for name, noun in NOUNS.items()},
    **{name: adjective(name, "m") for name in ADJECTIVES}, **BACKGROUNDS,
    "yes": "да", "no": "нет", "left": "слева", "right": "справа", "above": "сверху", "below": "снизу",
}  # fmt: skip


GENDERS: Final = GenderFinder(
    {form: noun.gender for noun in NOUNS.values() for form in noun.singular} | {"тарелка": "f", "тарелке": "f"}
)


class Russian(Grammar):
    code = "ru"
    comma_after_background = False
    answers = ANSWERS

    def answer(self, answer: str, question: str = "") -> str:
        """`Какого цвета звезда?` is answered by `красного`, `Звезда красная или синяя?` by `красная`."""
        if answer not in ADJECTIVES:
            return super().answer(answer)
        if {"цвета", "размера"} & set(question.lower().split()):
            return adjective(answer, "m", GENITIVE)
        return adjective(answer, GENDERS.find(question) or "m")

    def shows(self, f: m.Shows) -> str:
        return phrase(f.thing)

    def shows_count(self, f: m.ShowsCount) -> str:
        return counted(f.count, f.noun)

    def shows_related(self, f: m.ShowsRelated) -> str:
        return f"{phrase(f.thing)} {related(f.relation, f.other)}"

    def shows_between(self, f: m.ShowsBetween) -> str:
        return f"{phrase(f.thing)} {between(f.first, f.second)}"

    def shows_background(self, f: m.ShowsBackground) -> str:
        return BACKGROUND_PLACES[f.background]

    def is_there(self, q: m.IsThere) -> str:
        return f"Есть ли на картинке {phrase(q.thing)}?"

    def is_there_category(self, q: m.IsThereCategory) -> str:
        return f"Есть ли на картинке {phrase(q.thing)}?"

    def is_colour(self, q: m.IsColour) -> str:
        return question(f"{phrase(q.thing)} {adjective(q.colour, NOUNS[q.thing.noun].gender)}")

    def is_plate_colour(self, q: m.IsPlateColour) -> str:
        return question(f"{plate_with(q.thing)} {adjective(q.colour, 'f')}")

    def is_size(self, q: m.IsSize) -> str:
        return question(f"{phrase(q.thing)} {adjective(q.size, NOUNS[q.thing.noun].gender)}")

    def is_related(self, q: m.IsRelated) -> str:
        return f"Находится ли {phrase(q.thing)} {related(q.relation, q.other)}?"

    def is_between(self, q: m.IsBetween) -> str:
        return f"Находится ли {phrase(q.thing)} {between(q.first, q.second)}?"

    def is_background(self, q: m.IsBackground) -> str:
        return question(f"{DEPICTED[BACKGROUND_GENDERS[q.background]]} ли на картинке {BACKGROUNDS[q.background]}")

    def what_colour(self, q: m.WhatColour) -> str:
        return f"Какого цвета {phrase(q.thing)}?"

    def what_plate_colour(self, q: m.WhatPlateColour) -> str:
        return f"Какого цвета {plate_with(q.thing)}?"

    def what_is_related(self, q: m.WhatIsRelated) -> str:
        return f"Что находится {related(q.relation, q.other)}?"

    def what_is_on_plate(self, q: m.WhatIsOnPlate) -> str:
        return f"Что находится {on_plate(q.plate)}?"

    def which_of_category(self, q: m.WhichOfCategory) -> str:
        gender = NOUNS[q.category].gender
        return question(f"{WHICH[gender]} {phrase(m.Phrase(q.category))} {DEPICTED[gender]} на картинке")

    def what_category_on_plate(self, q: m.WhatCategoryOnPlate) -> str:
        return f"К какой категории относится то, что находится {on_plate(q.plate)}?"

    def what_background(self, q: m.WhatBackground) -> str:
        return "Что изображено на заднем плане картинки?"

    def choose_colour(self, q: m.ChooseColour) -> str:
        return f"Какого цвета {phrase(q.thing)}: {of_colour(q.first, q.second)}?"

    def choose_plate_colour(self, q: m.ChoosePlateColour) -> str:
        return f"Какого цвета {plate_with(q.thing)}: {of_colour(q.first, q.second)}?"

    def choose_size(self, q: m.ChooseSize) -> str:
        gender = NOUNS[q.thing.noun].gender
        return question(f"{phrase(q.thing)} {adjective('small', gender)} или {adjective('large', gender)}")

    def choose_relation(self, q: m.ChooseRelation) -> str:
        either = f"над или {related('below', q.other)}" if q.vertical else f"слева или {related('right', q.other)}"
        return question(f"{phrase(q.thing)} находится {either}")

    def choose_kind(self, q: m.ChooseKind) -> str:
        who = "Кто изображён" if are_animals(q.first, q.second) else "Что изображено"
        return f"{who} на картинке: {phrase(m.Phrase(q.first))} или {phrase(m.Phrase(q.second))}?"

    def choose_category_on_plate(self, q: m.ChooseCategoryOnPlate) -> str:
        either = f"{phrase(m.Phrase(q.first))} или {phrase(m.Phrase(q.second))}"
        return f"Что находится {on_plate(q.plate)}: {either}?"

    def choose_background(self, q: m.ChooseBackground) -> str:
        return f"Что изображено на картинке: {BACKGROUNDS[q.first]} или {BACKGROUNDS[q.second]}?"

    def are_both(self, q: m.AreBoth) -> str:
        return f"Есть ли на картинке и {phrase(q.first)}, и {phrase(q.second)}?"

    def is_either(self, q: m.IsEither) -> str:
        return f"Есть ли на картинке {phrase(q.first)} или {phrase(q.second)}?"

    def is_without(self, q: m.IsWithout) -> str:
        return f"Верно ли, что на картинке есть {phrase(q.first)}, но нет {phrase(q.second, GENITIVE)}?"

    def are_both_size(self, q: m.AreBothSize) -> str:
        return f"И {phrase(q.first)}, и {phrase(q.second)} {PLURAL_SIZES[q.size]}?"

    def are_same_colour(self, q: m.AreSameColour) -> str:
        return question(f"{phrase(q.first)} и {phrase(q.second)} одного цвета")

    def are_plates_same_colour(self, q: m.ArePlatesSameColour) -> str:
        return question(f"{plate_with(q.first)} и {plate_with(q.second)} одного цвета")

    def are_same_size(self, q: m.AreSameSize) -> str:
        return f"На картинке {phrase(q.first)} и {phrase(q.second)} одного размера?"

    def which_is_larger(self, q: m.WhichIsLarger) -> str:
        who = "Кто" if are_animals(q.first.noun, q.second.noun) else "Что"
        return f"{who} на картинке больше: {phrase(q.first)} или {phrase(q.second)}?"

    def are_there_more(self, q: m.AreThereMore) -> str:
        return f"На картинке больше {NOUNS[q.first].many}, чем {NOUNS[q.second].many}?"

    def how_many(self, q: m.HowMany) -> str:
        return f"Сколько {NOUNS[q.noun].many} на картинке?"


GRAMMAR = Russian()
