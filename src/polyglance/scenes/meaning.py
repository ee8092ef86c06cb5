"""Language-independent meanings of captions and questions.

Every class is one template: a small hashable value that a grammar puts into words (`polyglance.scenes.grammar`) and
that can be evaluated on a scene (`polyglance.scenes.truth`). A caption is one to three fragments.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Phrase:
    """A noun with its modifiers: `a small red star on a blue plate`, or `the animal on the white plate`.

    noun: a kind or a category of `polyglance.scenes.world`. size: `small` or `large`. colour: the thing's own colour,
    for shapes only. plate: the plate's colour. None leaves a modifier out.
    """

    noun: str
    size: str | None = None
    colour: str | None = None
    plate: str | None = None


# -- fragments of captions -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shows:
    """`a small dog on a red plate`: there is at least one."""

    thing: Phrase


@dataclass(frozen=True)
class ShowsCount:
    """`two dogs`, `three animals`: there are exactly `count`, 2 to 6, of a kind or category."""

    count: int
    noun: str


@dataclass(frozen=True)
class ShowsRelated:
    """`a dog to the left of a small cat`; relation: one of `world.RELATIONS`."""

    thing: Phrase
    relation: str
    other: Phrase


@dataclass(frozen=True)
class ShowsBetween:
    """`a dog between a cat and a red star`."""

    thing: Phrase
    first: Phrase
    second: Phrase


@dataclass(frozen=True)
class ShowsBackground:
    """`in a meadow`, `at sea`, `at night`, `in the desert`."""

    background: str


Fragment = Shows | ShowsCount | ShowsRelated | ShowsBetween | ShowsBackground
Caption = tuple[Fragment, ...]


# -- questions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """A question. structural, semantic: its types, as in GQA; `count` is our own structural type."""

    structural: ClassVar[str]
    semantic: ClassVar[str]


@dataclass(frozen=True)
class IsThere(Question):
    """`Is there a small dog in the picture?` (indefinite)"""

    structural = "verify"
    semantic = "obj"
    thing: Phrase


@dataclass(frozen=True)
class IsThereCategory(Question):
    """`Is there an animal in the picture?` The phrase's noun is a category."""

    structural = "verify"
    semantic = "cat"
    thing: Phrase


@dataclass(frozen=True)
class IsColour(Question):
    """`Is the star red?` The thing is a shape."""

    structural = "verify"
    semantic = "attr"
    thing: Phrase
    colour: str


@dataclass(frozen=True)
class IsPlateColour(Question):
    """`Is the plate under the dog red?`"""

    structural = "verify"
    semantic = "attr"
    thing: Phrase
    colour: str


@dataclass(frozen=True)
class IsSize(Question):
    """`Is the dog small?`"""

    structural = "verify"
    semantic = "attr"
    thing: Phrase
    size: str


@dataclass(frozen=True)
class IsRelated(Question):
    """`Is the dog to the left of the cat?`"""

    structural = "verify"
    semantic = "rel"
    thing: Phrase
    relation: str
    other: Phrase


@dataclass(frozen=True)
class IsBetween(Question):
    """`Is the dog between the cat and the red star?`"""

    structural = "verify"
    semantic = "rel"
    thing: Phrase
    first: Phrase
    second: Phrase


@dataclass(frozen=True)
class IsBackground(Question):
    """`Does the picture show a meadow?`"""

    structural = "verify"
    semantic = "global"
    background: str


@dataclass(frozen=True)
class WhatColour(Question):
    """`What colour is the star?` The thing is a shape; the answer is a colour."""

    structural = "query"
    semantic = "attr"
    thing: Phrase


@dataclass(frozen=True)
class WhatPlateColour(Question):
    """`What colour is the plate under the dog?`"""

    structural = "query"
    semantic = "attr"
    thing: Phrase


@dataclass(frozen=True)
class WhatIsRelated(Question):
    """`What is to the left of the dog?` The answer is a kind."""

    structural = "query"
    semantic = "rel"
    relation: str
    other: Phrase


@dataclass(frozen=True)
class WhatIsOnPlate(Question):
    """`What is on the red plate?` The answer is a kind."""

    structural = "query"
    semantic = "obj"
    plate: str


@dataclass(frozen=True)
class WhichOfCategory(Question):
    """`Which animal is in the picture?` There is exactly one thing of the category; the answer is its kind."""

    structural = "query"
    semantic = "obj"
    category: str


@dataclass(frozen=True)
class WhatCategoryOnPlate(Question):
    """`What kind of thing is on the red plate?` The answer is a category."""

    structural = "query"
    semantic = "cat"
    plate: str


@dataclass(frozen=True)
class WhatBackground(Question):
    """`What is in the background of the picture?` The answer is meadow, sea, night or desert."""

    structural = "query"
    semantic = "global"


@dataclass(frozen=True)
class ChooseColour(Question):
    """`Is the star red or blue?`"""

    structural = "choose"
    semantic = "attr"
    thing: Phrase
    first: str
    second: str


@dataclass(frozen=True)
class ChoosePlateColour(Question):
    """`Is the plate under the dog red or blue?`"""

    structural = "choose"
    semantic = "attr"
    thing: Phrase
    first: str
    second: str


@dataclass(frozen=True)
class ChooseSize(Question):
    """`Is the dog small or large?`"""

    structural = "choose"
    semantic = "attr"
    thing: Phrase


@dataclass(frozen=True)
class ChooseRelation(Question):
    """`Is the dog to the left or to the right of the cat?` vertical: asks for above or below instead."""

    structural = "choose"
    semantic = "rel"
    thing: Phrase
    other: Phrase
    vertical: bool


@dataclass(frozen=True)
class ChooseKind(Question):
    """`Which of the two is in the picture, a dog or a cat?` Bare kinds."""

    structural = "choose"
    semantic = "obj"
    first: str
    second: str


@dataclass(frozen=True)
class ChooseCategoryOnPlate(Question):
    """`Is the thing on the red plate an animal or a fruit?` The answer is a category."""

    structural = "choose"
    semantic = "cat"
    plate: str
    first: str
    second: str


@dataclass(frozen=True)
class ChooseBackground(Question):
    """`Does the picture show a meadow or a desert?`"""

    structural = "choose"
    semantic = "global"
    first: str
    second: str


@dataclass(frozen=True)
class AreBoth(Question):
    """`Are there both a dog and a cat in the picture?` (indefinite)"""

    structural = "logical"
    semantic = "obj"
    first: Phrase
    second: Phrase


@dataclass(frozen=True)
class IsEither(Question):
    """`Is there a dog or a cat in the picture?` (indefinite, inclusive or) The answer is yes or no."""

    structural = "logical"
    semantic = "obj"
    first: Phrase
    second: Phrase


@dataclass(frozen=True)
class IsWithout(Question):
    """`Is there a dog but no cat in the picture?`"""

    structural = "logical"
    semantic = "obj"
    first: Phrase
    second: Phrase


@dataclass(frozen=True)
class AreBothSize(Question):
    """`Are the dog and the cat both small?`"""

    structural = "logical"
    semantic = "attr"
    first: Phrase
    second: Phrase
    size: str


@dataclass(frozen=True)
class AreSameColour(Question):
    """`Do the star and the circle have the same colour?` Two shapes."""

    structural = "compare"
    semantic = "attr"
    first: Phrase
    second: Phrase


@dataclass(frozen=True)
class ArePlatesSameColour(Question):
    """`Do the plates under the dog and the cat have the same colour?`"""

    structural = "compare"
    semantic = "attr"
    first: Phrase
    second: Phrase


@dataclass(frozen=True)
class AreSameSize(Question):
    """`Are the dog and the cat the same size?`"""

    structural = "compare"
    semantic = "attr"
    first: Phrase
    second: Phrase


@dataclass(frozen=True)
class WhichIsLarger(Question):
    """`Which is larger, the dog or the cat?` The answer is a kind; the two kinds and sizes differ."""

    structural = "compare"
    semantic = "obj"
    first: Phrase
    second: Phrase


@dataclass(frozen=True)
class AreThereMore(Question):
    """`Are there more animals than fruits in the picture?` Bare categories."""

    structural = "compare"
    semantic = "cat"
    first: str
    second: str


@dataclass(frozen=True)
class HowMany(Question):
    """`How many dogs are in the picture?` A bare kind or category; the answer is 0 to 6 in digits."""

    structural = "count"
    semantic = "obj"
    noun: str
