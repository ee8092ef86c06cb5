"""Chooses sentences to translate."""

import heapq
import re
from collections import Counter
from collections.abc import Sequence


def spread(sentences: Sequence[str], count: int) -> list[int]:
    """Returns the rows of `count` sentences with evenly distributed words, in the order in which they are chosen.

    The next sentence is always the one with the rarest words so far: a word that occurred n times counts 1 / (1 + n),
    and the sum is divided by the square root of the length. Values only decrease, so that few must be computed again
    (lazy greedy, Minoux 1978).
    """
    words = [sorted(set(re.findall(r"\w+", sentence.lower()))) for sentence in sentences]
    seen = Counter[str]()

    def worth(row: int) -> float:
        return sum(1 / (1 + seen[word]) for word in words[row]) / max(1, len(words[row])) ** 0.5

    queue = [(-worth(row), row) for row in range(len(sentences))]
    heapq.heapify(queue)
    taken: list[int] = []
    while queue and len(taken) < count:
        _, row = heapq.heappop(queue)
        if queue and -worth(row) > queue[0][0]:
            heapq.heappush(queue, (-worth(row), row))
            continue
        taken.append(row)
        seen.update(words[row])
    return taken
