"""Mandarin in simplified characters: measure words; a thing is introduced with 一 and referred back to with 那."""

from typing import Final

from polyglance.scenes import meaning as m
from polyglance.scenes.grammar.base import Grammar

NOUNS: Final[dict[str, tuple[str, str]]] = {
    "animal": ("动物", "只"), "dog": ("狗", "只"), "cat": ("猫", "只"), "horse": ("马", "匹"), "cow": ("奶牛", "头"),
    "pig": ("猪", "头"), "rabbit": ("兔子", "只"), "elephant": ("大象", "头"), "lion": ("狮子", "头"),
    "giraffe": ("长颈鹿", "只"), "turtle": ("乌龟", "只"), "frog": ("青蛙", "只"), "penguin": ("企鹅", "只"),
    "fish": ("鱼", "条"), "snail": ("蜗牛", "只"),
    "fruit": ("水果", "个"), "apple": ("苹果", "个"), "banana": ("香蕉", "根"), "lemon": ("柠檬", "个"),
    "pineapple": ("菠萝", "个"), "pear": ("梨", "个"), "peach": ("桃子", "个"), "mango": ("芒果", "个"),
    "kiwi": ("猕猴桃", "个"), "coconut": ("椰子", "个"),
    "plant": ("植物", "株"), "palm tree": ("棕榈树", "棵"), "fir tree": ("松树", "棵"), "cactus": ("仙人掌", "棵"),
    "rose": ("玫瑰", "朵"), "tulip": ("郁金香", "朵"), "sunflower": ("向日葵", "朵"), "clover": ("四叶草", "株"),
    "seedling": ("幼苗", "株"),
    "vehicle": ("交通工具", "个"), "car": ("汽车", "辆"), "bus": ("公交车", "辆"), "truck": ("卡车", "辆"),
    "tractor": ("拖拉机", "辆"), "bicycle": ("自行车", "辆"), "motorcycle": ("摩托车", "辆"),
    "airplane": ("飞机", "架"), "helicopter": ("直升机", "架"), "rocket": ("火箭", "枚"),
    "sailboat": ("帆船", "艘"), "locomotive": ("火车头", "个"), "canoe": ("独木舟", "条"),
    "garment": ("衣物", "件"), "dress": ("连衣裙", "条"), "t-shirt": ("T恤", "件"), "coat": ("外套", "件"),
    "top hat": ("礼帽", "顶"), "scarf": ("围巾", "条"), "tie": ("领带", "条"), "boot": ("靴子", "只"),
    "cap": ("棒球帽", "顶"),
    "instrument": ("乐器", "件"), "guitar": ("吉他", "把"), "trumpet": ("小号", "支"), "violin": ("小提琴", "把"),
    "drum": ("鼓", "面"), "saxophone": ("萨克斯", "把"), "banjo": ("班卓琴", "把"),
    "tool": ("工具", "件"), "hammer": ("锤子", "把"), "axe": ("斧头", "把"), "wrench": ("扳手", "把"),
    "broom": ("扫帚", "把"), "pencil": ("铅笔", "支"), "paintbrush": ("画笔", "支"), "flashlight": ("手电筒", "支"),
    "magnifying glass": ("放大镜", "个"),
    "shape": ("图形", "个"), "circle": ("圆形", "个"), "square": ("正方形", "个"), "triangle": ("三角形", "个"),
    "star": ("五角星", "个"), "heart": ("爱心", "颗"), "diamond": ("菱形", "个"), "cross": ("十字形", "个"),
    "crescent": ("月牙形", "个"),
}  # fmt: skip
"""Kind or category -> word and measure word."""

SIZED_WITH_DE: Final = {
    "elephant", "seedling", "vehicle", "car", "garment", "dress", "top hat", "trumpet", "violin", "drum", "tool",
}  # fmt: skip
"""Nouns that 小 or 大 alone does not fit or turns into another word: 小汽车 is any car, 大鼓 a bass drum, 大连 a
city."""

SIZES: Final = {"small": "小", "large": "大"}
COLOURS: Final = {
    "red": "红色", "orange": "橙色", "yellow": "黄色", "green": "绿色", "blue": "蓝色", "purple": "紫色",
    "white": "白色", "black": "黑色",
}  # fmt: skip
NUMERALS: Final = {2: "两", 3: "三", 4: "四", 5: "五", 6: "六"}
RELATIONS: Final = {"left": "左边", "right": "右边", "above": "上方", "below": "下方"}
BACKGROUND_PLACES: Final = {"meadow": "在草地上", "sea": "在海上", "night": "在夜空下", "desert": "在沙漠里"}
BACKGROUNDS: Final = {"meadow": "草地", "sea": "大海", "night": "夜空", "desert": "沙漠"}


def noun(name: str) -> str:
    return NOUNS[name][0]


def measure(name: str) -> str:
    return NOUNS[name][1]


def bare(phrase: m.Phrase) -> str:
    """All words without the measure word: `在蓝色盘子上的红色小五角星`."""
    plate = f"在{COLOURS[phrase.plate]}盘子上的" if phrase.plate else ""
    colour = COLOURS[phrase.colour] if phrase.colour else ""
    size = SIZES[phrase.size] + "的" * (phrase.noun in SIZED_WITH_DE) if phrase.size else ""
    return plate + colour + size + noun(phrase.noun)


def a(phrase: m.Phrase) -> str:
    return f"一{measure(phrase.noun)}{bare(phrase)}"


def the(phrase: m.Phrase) -> str:
    return f"那{measure(phrase.noun)}{bare(phrase)}"


def some(phrase: m.Phrase) -> str:
    """The object of 有 in a question, with 一 only if a plate would follow 有 directly."""
    return a(phrase) if phrase.plate else bare(phrase)


def plate_under(phrase: m.Phrase) -> str:
    return f"{the(phrase)}下面的盘子"


ANSWERS: Final = {
    **{name: word for name, (word, _) in NOUNS.items()},
    **COLOURS, **SIZES, **RELATIONS, **BACKGROUNDS,
    "yes": "是", "no": "否",
}  # fmt: skip


class Chinese(Grammar):
    code = "zh"
    answers = ANSWERS
    comma = "，"
    full_stop = "。"

    def shows(self, f: m.Shows) -> str:
        return a(f.thing)

    def shows_count(self, f: m.ShowsCount) -> str:
        return f"{NUMERALS[f.count]}{measure(f.noun)}{noun(f.noun)}"

    def shows_related(self, f: m.ShowsRelated) -> str:
        return f"{a(f.thing)}位于{a(f.other)}的{RELATIONS[f.relation]}"

    def shows_between(self, f: m.ShowsBetween) -> str:
        return f"{a(f.thing)}位于{a(f.first)}和{a(f.second)}之间"

    def shows_background(self, f: m.ShowsBackground) -> str:
        return BACKGROUND_PLACES[f.background]

    def is_there(self, q: m.IsThere) -> str:
        return f"图中有{some(q.thing)}吗？"

    def is_there_category(self, q: m.IsThereCategory) -> str:
        return f"图中有{some(q.thing)}吗？"

    def is_colour(self, q: m.IsColour) -> str:
        return f"{the(q.thing)}是{COLOURS[q.colour]}的吗？"

    def is_plate_colour(self, q: m.IsPlateColour) -> str:
        return f"{plate_under(q.thing)}是{COLOURS[q.colour]}的吗？"

    def is_size(self, q: m.IsSize) -> str:
        return f"{the(q.thing)}是{SIZES[q.size]}的吗？"

    def is_related(self, q: m.IsRelated) -> str:
        return f"{the(q.thing)}在{the(q.other)}的{RELATIONS[q.relation]}吗？"

    def is_between(self, q: m.IsBetween) -> str:
        return f"{the(q.thing)}在{the(q.first)}和{the(q.second)}之间吗？"

    def is_background(self, q: m.IsBackground) -> str:
        return f"图中的背景是{BACKGROUNDS[q.background]}吗？"

    def what_colour(self, q: m.WhatColour) -> str:
        return f"{the(q.thing)}是什么颜色的？"

    def what_plate_colour(self, q: m.WhatPlateColour) -> str:
        return f"{plate_under(q.thing)}是什么颜色的？"

    def what_is_related(self, q: m.WhatIsRelated) -> str:
        return f"{the(q.other)}的{RELATIONS[q.relation]}是什么？"

    def what_is_on_plate(self, q: m.WhatIsOnPlate) -> str:
        return f"{COLOURS[q.plate]}盘子上有什么？"

    def which_of_category(self, q: m.WhichOfCategory) -> str:
        return f"图中有哪种{noun(q.category)}？"

    def what_category_on_plate(self, q: m.WhatCategoryOnPlate) -> str:
        return f"{COLOURS[q.plate]}盘子上的东西属于哪一类？"

    def what_background(self, q: m.WhatBackground) -> str:
        return "图中的背景是什么？"

    def choose_colour(self, q: m.ChooseColour) -> str:
        return f"{the(q.thing)}是{COLOURS[q.first]}的还是{COLOURS[q.second]}的？"

    def choose_plate_colour(self, q: m.ChoosePlateColour) -> str:
        return f"{plate_under(q.thing)}是{COLOURS[q.first]}的还是{COLOURS[q.second]}的？"

    def choose_size(self, q: m.ChooseSize) -> str:
        return f"{the(q.thing)}是大的还是小的？"

    def choose_relation(self, q: m.ChooseRelation) -> str:
        either = "上方还是下方" if q.vertical else "左边还是右边"
        return f"{the(q.thing)}在{the(q.other)}的{either}？"

    def choose_kind(self, q: m.ChooseKind) -> str:
        return f"图中出现的是{noun(q.first)}还是{noun(q.second)}？"

    def choose_category_on_plate(self, q: m.ChooseCategoryOnPlate) -> str:
        return f"{COLOURS[q.plate]}盘子上的东西是{noun(q.first)}还是{noun(q.second)}？"

    def choose_background(self, q: m.ChooseBackground) -> str:
        return f"图中的背景是{BACKGROUNDS[q.first]}还是{BACKGROUNDS[q.second]}？"

    def are_both(self, q: m.AreBoth) -> str:
        return f"图中既有{some(q.first)}又有{some(q.second)}吗？"

    def is_either(self, q: m.IsEither) -> str:
        return f"图中有{a(q.first)}或者{a(q.second)}吗？"

    def is_without(self, q: m.IsWithout) -> str:
        none = "没有任何" if q.second.plate else "没有"
        return f"图中是否有{some(q.first)}但{none}{bare(q.second)}？"

    def are_both_size(self, q: m.AreBothSize) -> str:
        return f"{the(q.first)}和{the(q.second)}都是{SIZES[q.size]}的吗？"

    def are_same_colour(self, q: m.AreSameColour) -> str:
        return f"{the(q.first)}和{the(q.second)}颜色相同吗？"

    def are_plates_same_colour(self, q: m.ArePlatesSameColour) -> str:
        return f"{plate_under(q.first)}和{plate_under(q.second)}颜色相同吗？"

    def are_same_size(self, q: m.AreSameSize) -> str:
        return f"{the(q.first)}和{the(q.second)}一样大吗？"

    def which_is_larger(self, q: m.WhichIsLarger) -> str:
        return f"{the(q.first)}和{the(q.second)}哪个更大？"

    def are_there_more(self, q: m.AreThereMore) -> str:
        return f"图中的{noun(q.first)}比{noun(q.second)}多吗？"

    def how_many(self, q: m.HowMany) -> str:
        return f"图中有几{measure(q.noun)}{noun(q.noun)}？"


GRAMMAR = Chinese()
