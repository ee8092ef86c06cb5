"""Which sentences are worth a translation."""

import heapq
import re
from collections import Counter
from collections.abc import Sequence


def spread(sentences: Sequence[str], count: int) -> list[int]:
    """The rows of `count` sentences whose words come up most evenly, in the order in which they were taken.

    The next one is always that of which the words were there least: a word that was there n times counts 1 / (1 + n),
    and long sentences count less, by the root of their length. What a sentence is worth only falls, so that few need to
    be looked at anew (lazy greedy: Minoux, 1978).
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
