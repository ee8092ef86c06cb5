"""The output of a model's frozen layers for texts, computed once and kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from polyglance.models.families.cut_model import CutModel
from polyglance.nn.encoder import Encoder
from polyglance.nn.states import TokenStates
from polyglance.training.devices import Precision, autocast
from polyglance.training.state_cache import KeptStates, hash_of, keep_states
from polyglance.types import StageProgress


@dataclass(frozen=True, eq=False)
class KeptTexts:
    """What the frozen layers of a model computed for texts.

    model: the model. kept: the tokens of each text; its vector stands in front of them, as tokens, with what rounding
    left of it. vector: the length of the vector, 0 if there is none.
    """

    model: CutModel
    kept: KeptStates
    vector: int

    def states(self, rows: Int[Tensor, " rows"], together_with: Int[Tensor, " others"] | None = None) -> TokenStates:
        """Returns the states of some texts, as `CutModel.read_text` does.

        together_with: the rows to whose longest text these are padded; None means `rows`.
        """
        hidden, mask = self.kept.before(0, rows)
        if together_with is not None:
            missing = int(self.kept.lengths[together_with].max()) - mask.shape[1]
            hidden, mask = F.pad(hidden, (0, 0, 0, missing)), F.pad(mask, (0, missing))
        front = 2 * _tokens(self.vector, hidden.shape[2])
        vector = hidden[:, :front].unflatten(1, (2, -1)).sum(dim=1).flatten(1)[:, : self.vector] if front else None
        return self.model.finish_text(TokenStates(hidden[:, front:], mask[:, front:], "text", vector))


def keep_texts(
    model: CutModel,
    texts: Sequence[str],
    precision: Precision,
    vectors_alone: bool = False,
    folder: Path | None = None,
    report: StageProgress | None = None,
) -> KeptTexts:
    """Runs texts through the layers of `CutModel.lower_text`, which must be frozen, and keeps the output.

    model, texts: the model and the texts. precision: of products. vectors_alone: whether only vectors are needed, and
    no tokens. folder, report: as in `keep_states`.

    Raises ConfigurationError if there are no texts.
    """
    vector = model.embedding_dim if model.embeds_below else 0
    inputs = _TextInputs(model.eval(), tuple(texts), precision, vectors_alone and bool(vector))
    return KeptTexts(model, keep_states(inputs, folder=folder, report=report, stage="reading texts"), vector)


@dataclass(frozen=True, eq=False)
class _TextInputs:
    """`Inputs` for texts. The arguments are those of `keep_texts`."""

    model: CutModel
    texts: tuple[str, ...]
    precision: Precision
    vectors_alone: bool

    @property
    def encoder(self) -> Encoder:
        return self.model.joint_layers

    @cached_property
    def fingerprint(self) -> str:
        read = {name: value for name, value in self.model.state_dict().items() if name.startswith(self.model.of_texts)}
        return f"{hash_of(read).hex()[:16]}{self.model.fingerprint_outside} {self.precision} {self.vectors_alone}"

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """A hash of the texts."""
        return {"texts": torch.tensor(list(sha256(repr(self.texts).encode(errors="surrogateescape")).digest()))}

    def __len__(self) -> int:
        return len(self.texts)

    def embed(
        self, rows: Int[Tensor, " rows"]
    ) -> tuple[Float[Tensor, "rows tokens width"], Bool[Tensor, "rows tokens"]]:
        batch = self.model.tokenize([self.texts[row] for row in rows.tolist()])
        with autocast(self.model.device, self.precision):
            states = self.model.lower_text(batch)
        if states.vector is None:
            return states.hidden, states.mask
        width, length = states.hidden.shape[2], states.vector.shape[1]
        vector = F.pad(states.vector, (0, _tokens(length, width) * width - length)).unflatten(1, (-1, width)).float()
        rounded = vector.bfloat16().float()
        front = torch.cat([rounded, vector - rounded], dim=1)
        mask = F.pad(states.mask, (front.shape[1], 0), value=True)
        if self.vectors_alone:
            return front, mask[:, : front.shape[1]]
        return torch.cat([front, states.hidden.float()], dim=1), mask


def _tokens(vector: int, width: int) -> int:
    """Returns the number of tokens that a vector takes."""
    return -(-vector // width)
