"""Cross-encoders that start from pixels: adapts any model that matches to `PairScorer`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from polyglance.errors import ConfigurationError
from polyglance.models import load_model
from polyglance.models.capabilities import as_matcher
from polyglance.models.families.sentence_transformers import load_scorer
from polyglance.models.protocol import PairScorer, Reader
from polyglance.models.reading import matched
from polyglance.models.sources import SENTENCE_TRANSFORMERS
from polyglance.types import Text


@dataclass(frozen=True)
class MatcherScorer:
    """A `PairScorer` that uses a model that was trained to match.

    Raises:
        ConfigurationError: the model was not trained to match, or it reads side files of pictures.
    """

    model: Reader

    def __post_init__(self) -> None:
        as_matcher(self.model)
        if self.model.identity.side_files:
            raise ConfigurationError(
                f"expected a model that reads pixels to rerank with, but {self.model.name} reads what a detector saw: "
                "index with it instead"
            )

    @property
    def name(self) -> str:
        return self.model.name

    def log_odds(self, texts: Sequence[str], images: Sequence[Image]) -> Float[Tensor, " pairs"]:
        return matched(as_matcher(self.model), list(map(Text, texts)), images)


def load_reranker(name: str | os.PathLike[str] | Reader | PairScorer) -> PairScorer:
    """Loads a cross-encoder, ready to use.

    name: the name or folder of a model, as in `load_model`; `st:NAME` for a cross-encoder of sentence-transformers; or
    a loaded model or cross-encoder.

    Raises:
        ConfigurationError: there is no model of this name, or it does not match texts with pictures.
        CheckpointError: its files cannot be used.
    """
    if isinstance(name, str) and name.startswith(SENTENCE_TRANSFORMERS):
        return load_scorer(name)
    if isinstance(name, Reader):
        return MatcherScorer(name)
    return MatcherScorer(load_model(name)) if isinstance(name, str | os.PathLike) else name
