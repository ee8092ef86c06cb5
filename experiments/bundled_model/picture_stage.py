"""The second stage: the picture side learns scene graphs, emoji of six artists and clip art.

The classifier's eyes stay as they are. What is learned is what the convolutions see beside them, and the states that
are kept of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.bundled_model.pictures import Seen, Variant
from experiments.pretraining.picture_stage import CELLS, SceneGraphHead
from polyglance.kernels.processor import native_autocast
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.encoder import unit
from polyglance.nn.states import TokenStates
from polyglance.training.loop import Losses
from polyglance.training.seeds import generator_of

_SAME: Final = 0.99
"""The cosine from which two names are the same."""
_TRAINED: Final = ("stem", "eyes_project", "image_position", "image_norm", "image_layers", "compressor")


@dataclass(frozen=True)
class PictureSet:
    """Pictures with what the classifier sees in them.

    pixels, seen: of all pictures. rows: of those that are drawn from.
    """

    pixels: UInt8[Tensor, "n 3 h w"]
    seen: Seen
    rows: Int[Tensor, " chosen"]

    def draw(self, count: int, generator: torch.Generator) -> Int[Tensor, " count"]:
        return self.rows[torch.randint(len(self.rows), (count,), generator=generator)].to(self.pixels.device)


class PictureHead(nn.Module):
    """Reads from the kept states what a drawing is called; it is discarded after training.

    state_width, kept: of the states. names: unit vectors of all names and titles.
    """

    names: Tensor

    def __init__(self, state_width: int, kept: int, names: Float[Tensor, "names width"]) -> None:
        super().__init__()
        self.project = nn.Linear(kept * state_width, names.shape[1])
        self.scale = nn.Parameter(torch.tensor(20.0).log())
        self.register_buffer("names", names, persistent=False)

    def loss(self, states: TokenStates, named: Int[Tensor, " pictures"]) -> Tensor:
        """Cross-entropy of telling which of all names is the picture's."""
        vectors = unit(self.project(states.hidden.float().flatten(1)))
        return name_loss(vectors, self.names, named, self.scale.exp().clamp(max=100))


def name_loss(
    vectors: Float[Tensor, "pictures width"],
    names: Float[Tensor, "names width"],
    named: Int[Tensor, " pictures"],
    scale: Tensor | float,
) -> Float[Tensor, ""]:
    """Returns the cross-entropy of telling which of all names is the picture's. Others with the same vector, as of a
    flag that comes twice, are no mistakes."""
    same = names[named] @ names.T > _SAME
    same[torch.arange(len(named), device=named.device), named] = False
    return F.cross_entropy((scale * vectors @ names.T).masked_fill(same, float("-inf")), named)


class PictureLosses:
    """The losses of a step.

    scenes: with their graphs in `classes` and `places`, see `SceneGraphHead`. emoji, clip_art: drawings; the latter
    with flags. of: for each drawing of both the row of its name in `names`; emoji have the first rows. batch: the
    number of scenes, emoji and clip art in a step.
    """

    def __init__(
        self,
        model: SingleStreamModel,
        scenes: PictureSet,
        graphs: tuple[Int[Tensor, "scenes columns"], Float[Tensor, "scenes cells 2"]],
        emoji: PictureSet,
        clip_art: PictureSet,
        of: Int[Tensor, " drawings"],
        names: Float[Tensor, "names width"],
        batch: tuple[int, int, int],
        seed: int,
    ) -> None:
        self.model, self._scenes, self._seed, self._batch = model, scenes, seed, batch
        self._graphs = tuple(part.to(model.device) for part in graphs)
        self._emoji, self._clip_art, self._of = emoji, clip_art, of.to(model.device)
        width, kinds = model.config.state_width, int(of[emoji.rows].max()) + 1
        self.graph_head = SceneGraphHead(width, kinds).to(model.device)
        self.name_head = PictureHead(width, model.config.kept_states, names).to(model.device)

    @property
    def trained(self) -> nn.Module:
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name.startswith(_TRAINED))
        return nn.ModuleDict({"model": self.model, "graphs": self.graph_head, "names": self.name_head})

    def __call__(self, step: int, shape_weight: float = 1.0) -> Losses:
        generator = generator_of(self._seed, step)
        sets = (self._scenes, self._emoji, self._clip_art)
        rows = [of.draw(count, generator) for of, count in zip(sets, self._batch, strict=True)]
        parts = [(of.pixels[row], of.seen.grid[row], of.seen.whole[row]) for of, row in zip(sets, rows, strict=True)]
        pixels, grid, whole = (torch.cat(part) for part in zip(*parts, strict=True))
        with native_autocast(self.model.device):
            tokens = self.model.see_beside(
                pixels.contiguous(memory_format=torch.channels_last), grid.float(), whole.float()
            )
            states = self.model.compress(tokens)
        scenes, emoji = self._batch[0], self._batch[0] + self._batch[1]
        classes, places = self._graphs
        drawings = torch.cat(rows[1:])
        return {
            **self.graph_head.losses(_cells(states[:scenes]), classes[rows[0]], places[rows[0]], shape_weight),
            "emoji": self.graph_head.emoji_loss(_cells(states[scenes:emoji]), self._of[rows[1]]),
            "names": 0.5 * self.name_head.loss(states[scenes:], self._of[drawings]),
        }


def _cells(states: TokenStates) -> TokenStates:
    """Returns the states without that of the whole picture."""
    return TokenStates(states.hidden[:, :CELLS], states.mask[:, :CELLS], "image")


def set_of(origin: Sequence[str], variants: Sequence[Variant], pixels: Tensor, seen: Seen) -> PictureSet:
    """Returns the variants of some origins."""
    rows = [row for row, variant in enumerate(variants) if variant.origin in origin]
    return PictureSet(pixels, seen, torch.tensor(rows))
