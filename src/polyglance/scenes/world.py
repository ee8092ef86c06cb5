"""The vocabulary of the scene world: the kinds of things in pictures, with their colours, sizes and relations.

Drawing, sampling and the grammars all read these tables.
"""

from typing import Final

COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
SIZES: Final = ("small", "large")
BACKGROUNDS: Final = ("meadow", "sea", "night", "desert")
RELATIONS: Final = ("left", "right", "above", "below")
OPPOSITE: Final = {"left": "right", "right": "left", "above": "below", "below": "above"}

SHAPE: Final = "shape"
"""The only category of things with their own colour; any other thing gets a colour from its plate."""

KINDS_BY_CATEGORY: Final[dict[str, dict[str, str | None]]] = {
    "animal": {
        "dog": "1f415", "cat": "1f408", "horse": "1f40e", "cow": "1f404", "pig": "1f416", "rabbit": "1f407",
        "elephant": "1f418", "lion": "1f981", "giraffe": "1f992", "turtle": "1f422", "frog": "1f438",
        "penguin": "1f427", "fish": "1f41f", "snail": "1f40c",
    },
    "fruit": {
        "apple": "1f34e", "banana": "1f34c", "lemon": "1f34b", "pineapple": "1f34d", "pear": "1f350",
        "peach": "1f351", "mango": "1f96d", "kiwi": "1f95d", "coconut": "1f965",
    },
    "plant": {
        "palm tree": "1f334", "fir tree": "1f332", "cactus": "1f335", "rose": "1f339", "tulip": "1f337",
        "sunflower": "1f33b", "clover": "1f340", "seedling": "1f331",
    },
    "vehicle": {
        "car": "1f697", "bus": "1f68c", "truck": "1f69a", "tractor": "1f69c", "bicycle": "1f6b2",
        "motorcycle": "1f3cd", "airplane": "2708", "helicopter": "1f681", "rocket": "1f680", "sailboat": "26f5",
        "locomotive": "1f682", "canoe": "1f6f6",
    },
    "garment": {
        "dress": "1f457", "t-shirt": "1f455", "coat": "1f9e5", "top hat": "1f3a9", "scarf": "1f9e3",
        "tie": "1f454", "boot": "1f462", "cap": "1f9e2",
    },
    "instrument": {
        "guitar": "1f3b8", "trumpet": "1f3ba", "violin": "1f3bb", "drum": "1f941", "saxophone": "1f3b7",
        "banjo": "1fa95",
    },
    "tool": {
        "hammer": "1f528", "axe": "1fa93", "wrench": "1f527", "broom": "1f9f9", "pencil": "270f",
        "paintbrush": "1f58c", "flashlight": "1f526", "magnifying glass": "1f50d",
    },
    SHAPE: {
        "circle": None, "square": None, "triangle": None, "star": None, "heart": None, "diamond": None,
        "cross": None, "crescent": None,
    },
}  # fmt: skip
"""Category -> kind -> its emoji (code points, which name a file of the gallery); None for a drawn shape."""

CATEGORIES: Final = tuple(KINDS_BY_CATEGORY)
CATEGORY_OF: Final = {kind: category for category, kinds in KINDS_BY_CATEGORY.items() for kind in kinds}
KINDS: Final = tuple(CATEGORY_OF)
EMOJI_OF: Final = {kind: emoji for kinds in KINDS_BY_CATEGORY.values() for kind, emoji in kinds.items() if emoji}
