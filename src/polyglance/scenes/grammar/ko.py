"""Korean: particles that follow the final sound, counters, modifiers before the noun; questions in the formal style."""

from typing import Final

from polyglance.scenes import meaning as m
from polyglance.scenes.grammar.base import Grammar

NOUNS: Final[dict[str, tuple[str, str]]] = {
    "animal": ("동물", "마리"), "dog": ("개", "마리"), "cat": ("고양이", "마리"), "horse": ("말", "마리"),
    "cow": ("소", "마리"), "pig": ("돼지", "마리"), "rabbit": ("토끼", "마리"), "elephant": ("코끼리", "마리"),
    "lion": ("사자", "마리"), "giraffe": ("기린", "마리"), "turtle": ("거북이", "마리"), "frog": ("개구리", "마리"),
    "penguin": ("펭귄", "마리"), "fish": ("물고기", "마리"), "snail": ("달팽이", "마리"),
    "fruit": ("과일", "개"), "apple": ("사과", "개"), "banana": ("바나나", "개"), "lemon": ("레몬", "개"),
    "pineapple": ("파인애플", "개"), "pear": ("서양배", "개"), "peach": ("복숭아", "개"), "mango": ("망고", "개"),
    "kiwi": ("키위", "개"), "coconut": ("코코넛", "개"),
    "plant": ("식물", "개"), "palm tree": ("야자수", "그루"), "fir tree": ("전나무", "그루"),
    "cactus": ("선인장", "그루"), "rose": ("장미", "송이"), "tulip": ("튤립", "송이"),
    "sunflower": ("해바라기", "송이"), "clover": ("네잎클로버", "개"), "seedling": ("새싹", "개"),
    "vehicle": ("탈것", "대"), "car": ("자동차", "대"), "bus": ("버스", "대"), "truck": ("트럭", "대"),
    "tractor": ("트랙터", "대"), "bicycle": ("자전거", "대"), "motorcycle": ("오토바이", "대"),
    "airplane": ("비행기", "대"), "helicopter": ("헬리콥터", "대"), "rocket": ("로켓", "대"),
    "sailboat": ("돛단배", "척"), "locomotive": ("기관차", "대"), "canoe": ("카누", "척"),
    "garment": ("의류", "점"), "dress": ("원피스", "벌"), "t-shirt": ("티셔츠", "장"), "coat": ("코트", "벌"),
    "top hat": ("실크해트", "개"), "scarf": ("목도리", "개"), "tie": ("넥타이", "개"), "boot": ("부츠", "짝"),
    "cap": ("야구 모자", "개"),
    "instrument": ("악기", "개"), "guitar": ("기타", "대"), "trumpet": ("트럼펫", "개"), "violin": ("바이올린", "대"),
    "drum": ("드럼", "개"), "saxophone": ("색소폰", "개"), "banjo": ("밴조", "대"),
    "tool": ("도구", "개"), "hammer": ("망치", "자루"), "axe": ("도끼", "자루"), "wrench": ("렌치", "개"),
    "broom": ("빗자루", "개"), "pencil": ("연필", "자루"), "paintbrush": ("붓", "자루"), "flashlight": ("손전등", "개"),
    "magnifying glass": ("돋보기", "개"),
    "shape": ("도형", "개"), "circle": ("원", "개"), "square": ("정사각형", "개"), "triangle": ("삼각형", "개"),
    "star": ("별", "개"), "heart": ("하트", "개"), "diamond": ("마름모", "개"), "cross": ("십자 모양", "개"),
    "crescent": ("초승달", "개"),
}  # fmt: skip
"""Kind or category -> word and counter."""

SIZES: Final = {"small": "작은", "large": "큰"}
SIZE_QUESTIONS: Final = {"small": "작습니까", "large": "큽니까"}
COLOURS: Final = {
    "red": "빨간", "orange": "주황색", "yellow": "노란", "green": "초록색", "blue": "파란", "purple": "보라색",
    "white": "하얀", "black": "검은",
}  # fmt: skip
"""The forms before a noun."""
COLOUR_NOUNS: Final = {colour: word.removesuffix("색") + "색" for colour, word in COLOURS.items()}
NUMERALS: Final = {1: "한", 2: "두", 3: "세", 4: "네", 5: "다섯", 6: "여섯"}
RELATIONS: Final = {"left": "왼쪽", "right": "오른쪽", "above": "위쪽", "below": "아래쪽"}
BACKGROUND_PLACES: Final = {"meadow": "풀밭에서", "sea": "바다에서", "night": "밤에", "desert": "사막에서"}
BACKGROUNDS: Final = {"meadow": "풀밭", "sea": "바다", "night": "밤하늘", "desert": "사막"}


def has_batchim(words: str) -> bool:
    """Whether the last syllable ends in a consonant."""
    return (ord(words[-1]) - ord("가")) % 28 != 0


def marked(words: str, particle: str) -> str:
    """Appends a particle, written as in `은/는`: the form after a consonant, then the form after a vowel."""
    after_consonant, after_vowel = particle.split("/")
    return words + (after_consonant if has_batchim(words) else after_vowel)


def noun(name: str) -> str:
    return NOUNS[name][0]


def np(phrase: m.Phrase) -> str:
    """`파란 접시 위의 작은 빨간 별`: Korean has no articles."""
    plate = f"{COLOURS[phrase.plate]} 접시 위의" if phrase.plate else ""
    size = SIZES[phrase.size] if phrase.size else ""
    colour = COLOURS[phrase.colour] if phrase.colour else ""
    return " ".join(word for word in (plate, size, colour, noun(phrase.noun)) if word)


def counted(words: str, name: str, count: int) -> str:
    return f"{words} {NUMERALS[count]} {NOUNS[name][1]}"


def one(phrase: m.Phrase) -> str:
    """`작은 개 한 마리`: the counter keeps modifiers from applying to a second noun as well."""
    return counted(np(phrase), phrase.noun, 1)


def is_narrowed(phrase: m.Phrase) -> bool:
    """Whether there are modifiers before the noun, which could be read as applying to a second noun as well."""
    return phrase != m.Phrase(phrase.noun)


def topic(phrase: m.Phrase) -> str:
    return marked(np(phrase), "은/는")


def subject(phrase: m.Phrase) -> str:
    return marked(np(phrase), "이/가")


def plate_under(phrase: m.Phrase) -> str:
    return f"{np(phrase)} 아래의 접시"


ANSWERS: Final = {
    **{name: word for name, (word, _) in NOUNS.items()},
    **COLOUR_NOUNS, **RELATIONS, **BACKGROUNDS,
    "yes": "예", "no": "아니요", "small": "작습니다", "large": "큽니다",
}  # fmt: skip


class Korean(Grammar):
    code = "ko"
    answers = ANSWERS

    def shows(self, f: m.Shows) -> str:
        return np(f.thing)

    def shows_count(self, f: m.ShowsCount) -> str:
        return counted(noun(f.noun), f.noun, f.count)

    def shows_related(self, f: m.ShowsRelated) -> str:
        return f"{subject(f.thing)} {np(f.other)} {RELATIONS[f.relation]}에 있는 모습"

    def shows_between(self, f: m.ShowsBetween) -> str:
        return f"{subject(f.thing)} {marked(one(f.first), '과/와')} {one(f.second)} 사이에 있는 모습"

    def shows_background(self, f: m.ShowsBackground) -> str:
        return BACKGROUND_PLACES[f.background]

    def is_there(self, q: m.IsThere) -> str:
        return f"그림에 {subject(q.thing)} 있습니까?"

    def is_there_category(self, q: m.IsThereCategory) -> str:
        return f"그림에 {subject(q.thing)} 있습니까?"

    def is_colour(self, q: m.IsColour) -> str:
        return f"그림에서 {topic(q.thing)} {COLOUR_NOUNS[q.colour]}입니까?"

    def is_plate_colour(self, q: m.IsPlateColour) -> str:
        return f"그림에서 {plate_under(q.thing)}는 {COLOUR_NOUNS[q.colour]}입니까?"

    def is_size(self, q: m.IsSize) -> str:
        return f"그림에서 {topic(q.thing)} {SIZE_QUESTIONS[q.size]}?"

    def is_related(self, q: m.IsRelated) -> str:
        return f"그림에서 {topic(q.thing)} {np(q.other)} {RELATIONS[q.relation]}에 있습니까?"

    def is_between(self, q: m.IsBetween) -> str:
        first, second = (one(q.first), one(q.second)) if is_narrowed(q.first) else (np(q.first), np(q.second))
        return f"그림에서 {topic(q.thing)} {marked(first, '과/와')} {second} 사이에 있습니까?"

    def is_background(self, q: m.IsBackground) -> str:
        return f"그림의 배경은 {BACKGROUNDS[q.background]}입니까?"

    def what_colour(self, q: m.WhatColour) -> str:
        return f"그림에서 {topic(q.thing)} 무슨 색입니까?"

    def what_plate_colour(self, q: m.WhatPlateColour) -> str:
        return f"그림에서 {plate_under(q.thing)}는 무슨 색입니까?"

    def what_is_related(self, q: m.WhatIsRelated) -> str:
        return f"그림에서 {np(q.other)} {RELATIONS[q.relation]}에 무엇이 있습니까?"

    def what_is_on_plate(self, q: m.WhatIsOnPlate) -> str:
        return f"{COLOURS[q.plate]} 접시 위에 무엇이 있습니까?"

    def which_of_category(self, q: m.WhichOfCategory) -> str:
        return f"그림에 어떤 {marked(noun(q.category), '이/가')} 있습니까?"

    def what_category_on_plate(self, q: m.WhatCategoryOnPlate) -> str:
        return f"{COLOURS[q.plate]} 접시 위에 있는 것은 어떤 종류입니까?"

    def what_background(self, q: m.WhatBackground) -> str:
        return "그림의 배경은 무엇입니까?"

    def choose_colour(self, q: m.ChooseColour) -> str:
        return f"그림에서 {topic(q.thing)} {COLOUR_NOUNS[q.first]}입니까, {COLOUR_NOUNS[q.second]}입니까?"

    def choose_plate_colour(self, q: m.ChoosePlateColour) -> str:
        return f"그림에서 {plate_under(q.thing)}는 {COLOUR_NOUNS[q.first]}입니까, {COLOUR_NOUNS[q.second]}입니까?"

    def choose_size(self, q: m.ChooseSize) -> str:
        return f"그림에서 {topic(q.thing)} 작습니까, 큽니까?"

    def choose_relation(self, q: m.ChooseRelation) -> str:
        one_side, other_side = ("위쪽", "아래쪽") if q.vertical else ("왼쪽", "오른쪽")
        return f"그림에서 {topic(q.thing)} {np(q.other)} {one_side}에 있습니까, {other_side}에 있습니까?"

    def choose_kind(self, q: m.ChooseKind) -> str:
        return f"그림에 있는 것은 {noun(q.first)}입니까, {noun(q.second)}입니까?"

    def choose_category_on_plate(self, q: m.ChooseCategoryOnPlate) -> str:
        return f"{COLOURS[q.plate]} 접시 위에 있는 것은 {noun(q.first)}입니까, {noun(q.second)}입니까?"

    def choose_background(self, q: m.ChooseBackground) -> str:
        return f"그림의 배경은 {BACKGROUNDS[q.first]}입니까, {BACKGROUNDS[q.second]}입니까?"

    def are_both(self, q: m.AreBoth) -> str:
        return f"그림에 {np(q.first)}도 있고 {np(q.second)}도 있습니까?"

    def is_either(self, q: m.IsEither) -> str:
        first = f"{subject(q.first)} 있거나" if is_narrowed(q.first) else marked(np(q.first), "이나/나")
        return f"그림에 {first} {subject(q.second)} 있습니까?"

    def is_without(self, q: m.IsWithout) -> str:
        return f"그림에 {topic(q.first)} 있지만 {topic(q.second)} 없습니까?"

    def are_both_size(self, q: m.AreBothSize) -> str:
        return f"그림에서 {np(q.first)}도 {np(q.second)}도 둘 다 {SIZE_QUESTIONS[q.size]}?"

    def are_same_colour(self, q: m.AreSameColour) -> str:
        return f"그림에서 {topic(q.first)} {marked(np(q.second), '과/와')} 색이 같습니까?"

    def are_plates_same_colour(self, q: m.ArePlatesSameColour) -> str:
        return f"그림에서 {plate_under(q.first)}는 {plate_under(q.second)}와 색이 같습니까?"

    def are_same_size(self, q: m.AreSameSize) -> str:
        return f"그림에서 {topic(q.first)} {marked(np(q.second), '과/와')} 크기가 같습니까?"

    def which_is_larger(self, q: m.WhichIsLarger) -> str:
        return f"그림에서 {subject(q.first)} 더 큽니까, {subject(q.second)} 더 큽니까?"

    def are_there_more(self, q: m.AreThereMore) -> str:
        return f"그림에 {marked(noun(q.first), '이/가')} {noun(q.second)}보다 더 많이 있습니까?"

    def how_many(self, q: m.HowMany) -> str:
        return f"그림에 {marked(noun(q.noun), '이/가')} 몇 {NOUNS[q.noun][1]} 있습니까?"


GRAMMAR = Korean()
