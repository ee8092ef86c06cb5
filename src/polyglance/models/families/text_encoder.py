"""Text encoders of the BERT and RoBERTa families, read from the files that the Hugging Face hub keeps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polyglance.adapters.checkpoint import unfilled
from polyglance.adapters.routing import Adaptation
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.kernels.processor import native_dtype
from polyglance.models.huggingface.download import DESCRIPTION, read_json, read_weights
from polyglance.nn.encoder import Encoder
from polyglance.nn.token_head import TokenHead

Family = Literal["bert", "roberta"]

_FAMILIES: Final[dict[str, Family]] = {"bert": "bert", "roberta": "roberta", "xlm-roberta": "roberta"}
_PADDING: Final[dict[Family, int]] = {"bert": 0, "roberta": 1}
_SIZES: Final = {
    "vocab_size": "vocabulary",
    "max_position_embeddings": "positions",
    "hidden_size": "width",
    "num_attention_heads": "heads",
    "intermediate_size": "feed_forward",
    "num_hidden_layers": "layers",
}
_FIXED: Final = {
    "hidden_act": "gelu",
    "is_decoder": False,
    "add_cross_attention": False,
    "position_embedding_type": "absolute",
    "tie_word_embeddings": True,
}
"""Settings of `config.json` for which only this value is supported; it is also the default of a missing setting."""

# What the hub's files call the parts here
_EMBEDDINGS: Final = {
    "token_embedding": "word_embeddings",
    "position_embedding": "position_embeddings",
    "type_embedding": "token_type_embeddings",
    "embedding_norm": "LayerNorm",
}
LAYER: Final = {
    "attention.project_in": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.project_out": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "feed_forward.0": ("intermediate.dense",),
    "feed_forward.2": ("output.dense",),
    "feed_forward_norm": ("output.LayerNorm",),
}
HEAD: Final[dict[Family, dict[str, str]]] = {
    "bert": {
        "head": "cls.predictions",
        "head.dense": "cls.predictions.transform.dense",
        "head.norm": "cls.predictions.transform.LayerNorm",
    },
    "roberta": {"head": "lm_head", "head.dense": "lm_head.dense", "head.norm": "lm_head.layer_norm"},
}


@dataclass(frozen=True)
class TextEncoderConfig:
    """The shape of a `TextEncoder`.

    family: `bert` numbers the positions of a text from 0, `roberta` numbers its real tokens from `padding + 1`.
    positions: the number of rows of the table of positions. padding: the id that pads short texts. eps: the epsilon of
    the norms. predicts_tokens: whether there is a head for masked tokens.
    """

    family: Family
    vocabulary: int
    positions: int
    width: int
    heads: int
    feed_forward: int
    layers: int
    token_types: int = 2
    padding: int = 0
    eps: float = 1e-12
    predicts_tokens: bool = False

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigurationError(f"width {self.width} is not a multiple of heads {self.heads}")

    @classmethod
    def from_hub(cls, settings: Mapping[str, Any], predicts_tokens: bool = False) -> Self:
        """Reads a published `config.json`. Raises ConfigurationError if the model is of another kind."""
        if (kind := settings.get("model_type")) not in _FAMILIES:
            raise ConfigurationError(f"expected a model_type of {', '.join(_FAMILIES)}, got {kind!r}")
        for name, known in _FIXED.items():
            if (value := settings.get(name, known)) != known:
                raise ConfigurationError(f"expected {name} to be {known!r}, got {value!r}")
        if missing := [name for name in _SIZES if type(settings.get(name)) is not int]:
            raise ConfigurationError(f"expected a whole number for {missing[0]}, got {settings.get(missing[0])!r}")
        family = _FAMILIES[kind]
        return cls(
            family,
            **{ours: settings[theirs] for theirs, ours in _SIZES.items()},
            token_types=settings.get("type_vocab_size", 2),
            padding=settings.get("pad_token_id", _PADDING[family]),
            eps=settings.get("layer_norm_eps", 1e-12),
            predicts_tokens=predicts_tokens,
        )

    @property
    def max_tokens(self) -> int:
        return self.positions - (self.padding + 1 if self.family == "roberta" else 0)


class TextEncoder(nn.Module):
    """BERT (arXiv:1810.04805), RoBERTa (arXiv:1907.11692) or XLM-R (arXiv:1911.02116). It takes ids, not words."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        c = config
        self.config = config
        self.token_embedding = nn.Embedding(c.vocabulary, c.width)
        self.position_embedding = nn.Embedding(c.positions, c.width)
        self.type_embedding = nn.Embedding(c.token_types, c.width)
        self.embedding_norm = nn.LayerNorm(c.width, c.eps)
        self.encoder = Encoder(c.layers, c.width, c.heads, c.feed_forward, "post", c.eps)
        self.head = TokenHead(c.width, c.vocabulary, c.eps) if c.predicts_tokens else None

    def embed(
        self,
        ids: Int[Tensor, "batch tokens"],
        mask: Bool[Tensor, "batch tokens"],
        token_types: Int[Tensor, "batch tokens"] | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """Returns the input of the first layer.

        token_types: the type of each token; None means type 0 for all.

        Raises:
            ConfigurationError: there are more tokens than positions.
        """
        if ids.shape[1] > self.config.max_tokens:
            raise ConfigurationError(
                f"expected at most {self.config.max_tokens} tokens a text, got {ids.shape[1]}; cut the texts"
            )
        positions = torch.arange(ids.shape[1], device=ids.device)
        if self.config.family == "roberta":
            positions = self.config.padding + mask.cumsum(dim=1) * mask
        types = self.type_embedding.weight[0] if token_types is None else self.type_embedding(token_types)
        x: Tensor = self.embedding_norm(self.token_embedding(ids) + self.position_embedding(positions) + types)
        return x

    def forward(
        self,
        ids: Int[Tensor, "batch tokens"],
        mask: Bool[Tensor, "batch tokens"],
        token_types: Int[Tensor, "batch tokens"] | None = None,
        adaptation: Adaptation | None = None,
    ) -> Float[Tensor, "results tokens width"]:
        """Returns the states of the last layer, with rows as in `Encoder.forward`.

        mask: True for real tokens; the states of the others are zeros. adaptation: the adapters of each row.
        """
        states: Tensor = self.encoder(self.embed(ids, mask, token_types), mask, adaptation)
        return states

    def predict_tokens(
        self, states: Float[Tensor, "batch tokens width"], inverse: Callable[[Tensor], Tensor] | None = None
    ) -> Float[Tensor, "batch tokens vocabulary"]:
        """Returns the logits of each token, see `TokenHead`. Raises ConfigurationError if the model has no head."""
        if self.head is None:
            raise ConfigurationError("expected a model with a head that predicts tokens, got a body alone")
        logits: Tensor = self.head(states, self.token_embedding.weight, inverse)
        return logits


def load_text_encoder(folder: Path, dtype: torch.dtype | None = None) -> TextEncoder:
    """Loads a model from `config.json` and `model.safetensors`, or the files that `model.safetensors.index.json` names.

    dtype: the dtype of weights and products; None means bfloat16 if the processor multiplies it faster, else float32.

    Raises:
        CheckpointError: a file is missing or cut short, or the model is not of one of the families.
    """
    config, weights = text_encoder_config(folder), read_weights(folder)
    with unfilled():
        model = TextEncoder(replace(config, predicts_tokens=any(map(_of_head, weights))))
    prefix = f"{model.config.family}."
    sources = _sources(model, prefix if any(name.startswith(prefix) for name in weights) else "")
    _require_fit(folder, model, weights, sources)
    found = {name: torch.cat([weights[source] for source in theirs]) for name, theirs in sources.items()}
    kept = dtype or native_dtype()
    model.load_state_dict({name: value.to(kept) for name, value in found.items()}, assign=True)
    return model.eval()


def text_encoder_config(folder: Path) -> TextEncoderConfig:
    """Reads the shape of a text encoder without a head from its `config.json`.

    Raises:
        CheckpointError: the file is missing, or the model is not of one of the families.
    """
    settings = read_json(folder, DESCRIPTION)
    try:
        return TextEncoderConfig.from_hub(settings)
    except (TypeError, ValueError, ConfigurationError) as error:
        raise CheckpointError(f"{folder / DESCRIPTION} describes no text encoder that is known: {error}") from error


def _of_head(name: str) -> bool:
    return name.startswith(("cls.predictions.transform.", "lm_head.dense."))


def _sources(model: TextEncoder, prefix: str) -> dict[str, list[str]]:
    """Returns, for each parameter, the published names of the tensors that are concatenated to it."""
    found = {}
    for name in model.state_dict():
        module, _, kind = name.rpartition(".")
        if module.startswith("head"):
            theirs = [HEAD[model.config.family][module]]
        elif module.startswith("encoder.layers."):
            _, _, layer, part = module.split(".", 3)
            theirs = [f"{prefix}encoder.layer.{layer}.{one}" for one in LAYER[part]]
        else:
            theirs = [f"{prefix}embeddings.{_EMBEDDINGS[module]}"]
        found[name] = [f"{one}.{kind}" for one in theirs]
    return found


def _require_fit(
    folder: Path, model: TextEncoder, weights: Mapping[str, Tensor], sources: Mapping[str, Sequence[str]]
) -> None:
    """Raises CheckpointError if a tensor of the body or its head is missing, unknown, or of another shape."""
    for name, expected in model.state_dict().items():
        for source in sources[name]:
            if source not in weights:
                raise CheckpointError(f"the weights in {folder} lack {source}; copy the model's folder again")
            wanted = [expected.shape[0] // len(sources[name]), *expected.shape[1:]]
            if list(weights[source].shape) != wanted:
                raise CheckpointError(
                    f"the weights in {folder} do not fit config.json: expected {source} to be {wanted}, "
                    f"got {list(weights[source].shape)}"
                )
    used = {source for theirs in sources.values() for source in theirs}
    for name in sorted(weights.keys() - used):
        # Other heads may stand beside the body; older files hold the numbers 0, 1, 2, ... as well
        inside = name.removeprefix(f"{model.config.family}.")
        if inside.startswith(("embeddings.", "encoder.")) and inside != "embeddings.position_ids":
            raise CheckpointError(f"the weights in {folder} hold {name}, for which this text encoder has no place")
