"""Makes a dictionary from a few hundred translated sentences, and replaces words of English sentences with it."""

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from polyglance.data.corpora import Translation

Dictionary = Mapping[str, Mapping[str, float]]
"""For each English word in lower case, its translations with their weights."""

ROUNDS, SURE = 10, 0.1
_WORD = re.compile(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff.,;:!?।。，、？！]+")
"""Splits a text into words; in Chinese, which has no spaces, into characters."""


def dictionary(translations: Sequence[Translation]) -> Dictionary:
    """Returns the pairs of words that are aligned in both directions more often than by chance.

    The weight of a pair is p(a | b) p(b | a), each by IBM model 1 (Brown et al., Computational Linguistics 19(2), 1993,
    section 4.1). It is at least `SURE`, so that a pair from a single sentence is left out.
    """
    pairs = [(_words(one.known), _words(one.sentence)) for one in translations]
    into, back = _aligned(pairs), _aligned([(said, known) for known, said in pairs])
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for known, chances in into.items():
        for word, chance in chances.items():
            if (score := chance * back[word].get(known, 0)) >= SURE:
                found[known][word] = score
    return dict(found)


def switched(text: str, words: Dictionary, rng: random.Random) -> str:
    """Returns the text with a random share of its words translated, if the dictionary has them."""
    share = rng.random()

    def replaced(match: re.Match[str]) -> str:
        known = words.get(match[0].lower())
        return rng.choices([*known], [*known.values()])[0] if known and rng.random() < share else match[0]

    return _WORD.sub(replaced, text)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _aligned(pairs: Sequence[tuple[list[str], list[str]]]) -> dict[str, dict[str, float]]:
    """Returns p(word of the second | word of the first) by expectation maximization from a uniform start."""
    chances: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for first, second in pairs:
        for one in first:
            chances[one] |= dict.fromkeys(second, 1.0)
    for _ in range(ROUNDS):
        counts: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        for first, second in pairs:
            for other in second:
                total = sum(chances[one][other] for one in first)
                for one in first:
                    counts[one][other] += chances[one][other] / total
        for one, found in counts.items():
            chances[one] = {other: count / sum(found.values()) for other, count in found.items()}
    return chances
