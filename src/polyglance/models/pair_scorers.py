"""Cross-encoders from pixels: any model that matches, behind `PairScorer`."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from polyglance.errors import ConfigurationError
from polyglance.models import load_model
from polyglance.models.families.sentence_transformers import PREFIX, load_scorer
from polyglance.models.opening import image_batch, reads_regions
from polyglance.models.protocol import JointModel, PairScorer


@dataclass(frozen=True)
class JointScorer:
    """A joint model as a `PairScorer`. A text or picture that stands in several pairs is read once.

    Raises ConfigurationError for a model that was not trained to match, and for one that reads regions.
    """

    model: JointModel

    def __post_init__(self) -> None:
        if "match" not in self.model.tasks:
            raise ConfigurationError(
                f"expected a model that matches a text with a picture, got {self.model.name}, "
                f"which was trained to {' and '.join(self.model.tasks)} alone: name another to rerank with"
            )

        if reads_regions(self.model):
            raise ConfigurationError(
                f"expected a model that reads pixels to rerank with, but {self.model.name} reads what a detector saw: "
                "index with it instead"
            )

    @property
    def name(self) -> str:
        return self.model.name

    def score(self, texts: Sequence[str], images: Sequence[Image]) -> Float[Tensor, " pairs"]:
        first_texts, text_rows = _distinct(texts)
        first_images, image_rows = _distinct([id(image) for image in images])
        read = self.model.read_text(self.model.tokenize([texts[row] for row in first_texts]))
        seen = self.model.read_images(image_batch([self.model.preprocess(images[row]) for row in first_images]))
        slope, offset = self.model.calibration
        return slope * self.model.match(read[text_rows], seen[image_rows]).float() + offset


def _distinct(items: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """(the first row of each item, for each row the item's place among these)."""
    place: dict[Hashable, int] = {}
    rows = [place.setdefault(item, len(place)) for item in items]
    return [rows.index(item) for item in place.values()], rows


def load_reranker(name: str) -> PairScorer:
    """A cross-encoder ready to use.

    name: a model's, as `load_model` takes it, or `st:NAME`, a cross-encoder of sentence-transformers.

    Raises:
        ConfigurationError: there is no model of that name, or it does not match texts with pictures.
        CheckpointError: its files cannot be used.
    """
    return load_scorer(name) if name.startswith(PREFIX) else JointScorer(load_model(name))
