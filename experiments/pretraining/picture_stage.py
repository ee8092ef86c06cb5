"""The first two stages: the picture layers learn to predict the thing in each cell from the kept states."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.nn.states import TokenStates
from polyglance.scenes.sampling import GRID, IMAGE_SIZE, Scene, cell_of
from polyglance.scenes.world import BACKGROUNDS, CATEGORY_OF, COLOURS, KINDS, SHAPE, SIZES

FACTS = {"kind": len(KINDS) + 1, "size": len(SIZES) + 1, "colour": len(COLOURS) + 1, "plate": len(COLOURS) + 1}
"""The facts predicted for each cell, with the number of classes; class 0 is `none`."""
CELLS = GRID * GRID


def scene_targets(scenes: Sequence[Scene]) -> tuple[Int[Tensor, "scenes columns"], Float[Tensor, "scenes cells 2"]]:
    """Returns (classes, places).

    classes: for each cell, the classes in the order of `FACTS`; the last column is the background. places: the position
    (x, y) of a thing's centre in its cell, from -1 to 1.
    """
    classes = torch.zeros(len(scenes), CELLS * len(FACTS) + 1, dtype=torch.long)
    places = torch.zeros(len(scenes), CELLS, 2)
    cell = IMAGE_SIZE // GRID
    for row, scene in enumerate(scenes):
        for thing in scene.things:
            at = cell_of(thing)
            facts = (KINDS.index(thing.kind), SIZES.index(thing.size), _colour(thing.colour), _colour(thing.plate))
            classes[row, at * 4 : at * 4 + 4] = torch.tensor(facts) + 1
            places[row, at] = torch.tensor([thing.x % cell, thing.y % cell]) / (cell / 2) - 1
        classes[row, -1] = BACKGROUNDS.index(scene.background)
    return classes, places


def _colour(name: str | None) -> int:
    return COLOURS.index(name) if name else -1


class SceneGraphHead(nn.Module):
    """Predicts the scene graph from the kept states; it is discarded after training.

    state_width: of the states. emoji: the number of emoji.
    """

    def __init__(self, state_width: int, emoji: int) -> None:
        super().__init__()
        self.facts = nn.Linear(state_width, sum(FACTS.values()))
        self.place = nn.Linear(state_width, 2)
        self.background = nn.Linear(state_width, len(BACKGROUNDS))
        self.emoji = nn.Linear(CELLS * state_width, emoji)

    def losses(
        self,
        states: TokenStates,
        classes: Int[Tensor, "scenes columns"],
        places: Float[Tensor, "scenes cells 2"],
        shape_weight: float = 1,
    ) -> dict[str, Tensor]:
        """Cross-entropy of every fact, and squared error of places. shape_weight: the weight of a shape's kind."""
        weight = torch.tensor([1.0] + [shape_weight if CATEGORY_OF[kind] == SHAPE else 1.0 for kind in KINDS])
        weights = {"kind": weight.to(classes.device)}
        hidden = states.hidden.float()
        per_cell = classes[:, :-1].view(len(classes), CELLS, len(FACTS))
        occupied = per_cell[..., 0] > 0
        terms = {
            name: F.cross_entropy(logits.flatten(0, 1), per_cell[..., i].flatten(), weights.get(name))
            for i, (name, logits) in enumerate(self._split(hidden).items())
        }
        terms["place"] = F.mse_loss(self.place(hidden)[occupied], places[occupied])
        terms["background"] = 0.2 * F.cross_entropy(self.background(hidden.mean(dim=1)), classes[:, -1])
        return terms

    def emoji_loss(self, states: TokenStates, emoji: Int[Tensor, " pictures"]) -> Tensor:
        """Cross-entropy of telling which emoji of the gallery a picture shows."""
        return 0.3 * F.cross_entropy(self.emoji(states.hidden.float().flatten(1)), emoji)

    def _split(self, hidden: Float[Tensor, "scenes cells width"]) -> dict[str, Tensor]:
        return dict(zip(FACTS, self.facts(hidden).split(list(FACTS.values()), dim=-1), strict=True))
