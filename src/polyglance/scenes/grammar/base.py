"""The interface of a grammar: one method for each template of `polyglance.scenes.meaning`."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from polyglance.scenes import meaning as m


class Grammar(ABC):
    """Puts meanings into correct sentences of one language.

    The methods for fragments return text without a capital letter or full stop, which `caption` joins into a sentence.
    The methods for questions return whole sentences.
    """

    code: ClassVar[str]
    """The language's ISO 639-1 code."""
    comma: ClassVar[str] = ", "
    full_stop: ClassVar[str] = "."
    comma_after_background: ClassVar[bool] = True
    answers: ClassVar[Mapping[str, str]] = {}
    """The words for `scenes.questions.ANSWERS` on their own, with adjectives in the masculine; empty for English, the
    language of the answers themselves."""

    def caption(self, caption: m.Caption) -> str:
        """Puts a caption into words, background first: `At night, a dog to the left of a cat, two apples.`"""
        place = [self.say(part) for part in caption if isinstance(part, m.ShowsBackground)]
        things = self.comma.join(self.say(part) for part in caption if not isinstance(part, m.ShowsBackground))
        text = (self.comma if self.comma_after_background else " ").join([*place, *([things] if things else [])])
        return text[0].upper() + text[1:] + self.full_stop

    def answer(self, answer: str, question: str = "") -> str:
        """Returns the word for one of `scenes.questions.ANSWERS`; an unknown answer is returned unchanged.

        question: in this language. Adjectives agree with the noun it asks about, in languages with agreement.
        """
        return self.answers.get(answer, answer)

    def say(self, meaning: m.Fragment | m.Question) -> str:
        """Puts one fragment or question into words, by the method named after its template."""
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(meaning).__name__).lower()
        text: str = getattr(self, name)(meaning)
        return text

    @abstractmethod
    def shows(self, f: m.Shows) -> str: ...
    @abstractmethod
    def shows_count(self, f: m.ShowsCount) -> str: ...
    @abstractmethod
    def shows_related(self, f: m.ShowsRelated) -> str: ...
    @abstractmethod
    def shows_between(self, f: m.ShowsBetween) -> str: ...
    @abstractmethod
    def shows_background(self, f: m.ShowsBackground) -> str: ...

    @abstractmethod
    def is_there(self, q: m.IsThere) -> str: ...
    @abstractmethod
    def is_there_category(self, q: m.IsThereCategory) -> str: ...
    @abstractmethod
    def is_colour(self, q: m.IsColour) -> str: ...
    @abstractmethod
    def is_plate_colour(self, q: m.IsPlateColour) -> str: ...
    @abstractmethod
    def is_size(self, q: m.IsSize) -> str: ...
    @abstractmethod
    def is_related(self, q: m.IsRelated) -> str: ...
    @abstractmethod
    def is_between(self, q: m.IsBetween) -> str: ...
    @abstractmethod
    def is_background(self, q: m.IsBackground) -> str: ...
    @abstractmethod
    def what_colour(self, q: m.WhatColour) -> str: ...
    @abstractmethod
    def what_plate_colour(self, q: m.WhatPlateColour) -> str: ...
    @abstractmethod
    def what_is_related(self, q: m.WhatIsRelated) -> str: ...
    @abstractmethod
    def what_is_on_plate(self, q: m.WhatIsOnPlate) -> str: ...
    @abstractmethod
    def which_of_category(self, q: m.WhichOfCategory) -> str: ...
    @abstractmethod
    def what_category_on_plate(self, q: m.WhatCategoryOnPlate) -> str: ...
    @abstractmethod
    def what_background(self, q: m.WhatBackground) -> str: ...
    @abstractmethod
    def choose_colour(self, q: m.ChooseColour) -> str: ...
    @abstractmethod
    def choose_plate_colour(self, q: m.ChoosePlateColour) -> str: ...
    @abstractmethod
    def choose_size(self, q: m.ChooseSize) -> str: ...
    @abstractmethod
    def choose_relation(self, q: m.ChooseRelation) -> str: ...
    @abstractmethod
    def choose_kind(self, q: m.ChooseKind) -> str: ...
    @abstractmethod
    def choose_category_on_plate(self, q: m.ChooseCategoryOnPlate) -> str: ...
    @abstractmethod
    def choose_background(self, q: m.ChooseBackground) -> str: ...
    @abstractmethod
    def are_both(self, q: m.AreBoth) -> str: ...
    @abstractmethod
    def is_either(self, q: m.IsEither) -> str: ...
    @abstractmethod
    def is_without(self, q: m.IsWithout) -> str: ...
    @abstractmethod
    def are_both_size(self, q: m.AreBothSize) -> str: ...
    @abstractmethod
    def are_same_colour(self, q: m.AreSameColour) -> str: ...
    @abstractmethod
    def are_plates_same_colour(self, q: m.ArePlatesSameColour) -> str: ...
    @abstractmethod
    def are_same_size(self, q: m.AreSameSize) -> str: ...
    @abstractmethod
    def which_is_larger(self, q: m.WhichIsLarger) -> str: ...
    @abstractmethod
    def are_there_more(self, q: m.AreThereMore) -> str: ...
    @abstractmethod
    def how_many(self, q: m.HowMany) -> str: ...


class GenderFinder:
    """Finds the gender of the first noun in a text.

    genders: the gender of every form of every noun; forms are in lower case.
    """

    def __init__(self, genders: Mapping[str, str]) -> None:
        self._genders = genders
        longest_first = sorted(map(re.escape, genders), key=len, reverse=True)
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)")

    def find(self, text: str) -> str | None:
        """Returns the gender of the first known noun, or None if there is none."""
        match = self._pattern.search(text.lower())
        return self._genders[match[0]] if match else None
