"""Photographs, which come without texts: states that stand for many of them, and texts that these are matched with."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polyglance.nn.encoder import unit

COUNT: Final = 24
"""The number of photographs in a step, each with a text."""
ALIKE: Final = 4
"""The number of photographs in a row that have a class in common, and of those that each text is matched with."""
_NOISE: Final = 0.4
"""The standard deviation of the noise in the cells of a photograph; their own is about 1."""
_NEAREST: Final = 40
"""The text of a photograph is one of so many nearest ones."""
_MATCH: Final = (16.0, 0.3)
"""Slope a and centre b of the logit that a photograph is taught: a (cosine - b)."""


@dataclass(frozen=True)
class Matches:
    """Texts, each with some photographs.

    lessons: the rows of the texts. shown: for each text the places of its photographs among those of the step, its own
    first. logits: what the match of each is to be.
    """

    lessons: Int[Tensor, " texts"]
    shown: Int[Tensor, "texts alike"]
    logits: Float[Tensor, "texts alike"]


@dataclass(frozen=True)
class Photographs:
    """Photographs without texts. The vector of each stands for what it shows, and is held as it is.

    states: of the photographs. classes: vectors of classes, mixtures of which stand for photographs that are not there.
    lessons, targets: rows of lessons about photographs, and the vectors of all lessons.
    """

    states: Float[Tensor, "photographs states state_width"]
    classes: Float[Tensor, "classes state_width"]
    lessons: Int[Tensor, " chosen"]
    targets: Float[Tensor, "lessons width"]

    def to(self, device: torch.device) -> "Photographs":
        return Photographs(*(part.to(device) for part in (self.states, self.classes, self.lessons, self.targets)))

    def blended(self, generator: torch.Generator) -> Float[Tensor, "count states state_width"]:
        """Returns states of `COUNT` photographs that might be.

        There are few photographs, so their cells are blended in pairs, in half of them each cell with that of another
        one, and noise is added. Most stand for mixtures of one to four classes; the first class is that of all `ALIKE`
        pictures in a row.
        """
        device = self.states.device
        one, other = self.states[torch.randint(len(self.states), (2, COUNT), generator=generator).to(device)].float()
        cells = torch.arange(one.shape[1], device=device)
        strewn = other[torch.randint(COUNT, one.shape[:2], generator=generator).to(device), cells]
        other = torch.where(torch.rand(COUNT, 1, 1, generator=generator).to(device) < 0.5, strewn, other)
        share = torch.rand(COUNT, 1, 1, generator=generator).to(device)
        blended = share * one + (1 - share) * other
        blended[:, :-1] += _NOISE * torch.randn(blended[:, :-1].shape, generator=generator).to(device)
        weights = torch.rand(COUNT, 4, generator=generator).to(device) ** 3
        classes = torch.randint(len(self.classes), (COUNT, 4), generator=generator).to(device)
        classes[:, 0] = classes[::ALIKE, 0].repeat_interleave(ALIKE)
        mixed = (weights[..., None] * self.classes[classes]).sum(dim=1)
        made = torch.rand(COUNT, generator=generator).to(device) < 0.8
        whole = torch.where(made[:, None], mixed, blended[:, -1])
        blended[:, -1] = unit(whole) * whole.shape[1] ** 0.5
        return blended

    def matched(self, vectors: Float[Tensor, "count width"], generator: torch.Generator) -> Matches:
        """Draws a text near each photograph, and for each text its own photograph, the nearest others, and any one.

        vectors: unit vectors of the photographs.
        """
        count = len(vectors)
        nearest = (vectors @ self.targets[self.lessons].T).topk(min(_NEAREST, len(self.lessons)), dim=1).indices
        picked = torch.randint(nearest.shape[1], (count, 1), generator=generator).to(vectors.device)
        lessons = self.lessons[nearest.gather(1, picked).squeeze(1)]
        cosines = self.targets[lessons] @ vectors.T
        own_first = cosines + 2 * torch.eye(count, device=vectors.device)
        anyone = torch.randint(count, (count, 1), generator=generator).to(vectors.device)
        shown = torch.cat([own_first.topk(ALIKE - 1, dim=1).indices, anyone], dim=1)
        slope, centre = _MATCH
        return Matches(lessons, shown, slope * (cosines.gather(1, shown) - centre))
