"""The layouts of published single-stream models: their configuration here, and the source of each weight.

Terms that the original adds up are one table here: the positions and the type of a text, and the vector of a modality
and the bias before it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from polyglance.errors import ConfigurationError
from polyglance.models.families.text_encoder import HEAD, LAYER, Family, TextEncoderConfig

_PREFIXES: Final = {
    "bert": "bert.",
    "roberta": "roberta.",
    "xlm-roberta": "roberta.",
    "visual_bert": "visual_bert.",
    "oscar": "bert.",
    "vilt": "vilt.",
}
"""The prefix of the body's weights in a checkpoint that also has a head, by the kind of model."""
CONVERTED: Final = tuple(kind for kind in _PREFIXES if kind != "oscar")
"""Their model_type in config.json; see `_OF_OSCAR` for OSCAR and VinVL."""
_OF_TEXT: Final = ("bert", "roberta", "xlm-roberta")
_VILT_LAYER: Final = {
    "attention.project_in": ("attention.attention.query", "attention.attention.key", "attention.attention.value"),
    "attention.project_out": ("attention.output.dense",),
    "attention_norm": ("layernorm_before",),
    "feed_forward.0": ("intermediate.dense",),
    "feed_forward.2": ("output.dense",),
    "feed_forward_norm": ("layernorm_after",),
}
_FIXED: Final[dict[str, dict[str, object]]] = {
    "visual_bert": {"bypass_transformer": False},
    "vilt": {"qkv_bias": True, "max_image_length": -1, "num_channels": 3},
}
"""Settings of `config.json` for which only one value is supported."""
_HEADS: Final = ("cls.", "lm_head.", "classifier.", "qa_outputs.", "mlm_score.", "rank_output.")
_BUFFERS: Final = ("embeddings.position_ids", "embeddings.token_type_ids")
_OF_OSCAR: Final = "img_feature_dim"
"""A setting that only the files of OSCAR and VinVL have; older ones do not name a model_type."""


def _below_each_other(*tensors: Tensor) -> Tensor:
    return torch.cat(tensors)


@dataclass(frozen=True)
class WeightSource:
    """Where a weight of a `SingleStreamModel` comes from in a published checkpoint.

    names: the names of the published tensors. combine: makes the weight from these tensors, in the order of `names`;
    by default it joins them along the first dimension.
    """

    names: tuple[str, ...]
    combine: Callable[..., Tensor] = _below_each_other


@dataclass(frozen=True)
class Original:
    """A published model.

    kind: what `config.json` calls it, or `oscar`. fields: the fields of a `SingleStreamConfig`. sources: where each
    weight here comes from, by its name here.
    """

    kind: str
    fields: Mapping[str, Any]
    sources: Mapping[str, WeightSource]

    @property
    def names(self) -> set[str]:
        """The names of all published tensors that are used here."""
        return {name for source in self.sources.values() for name in source.names}

    def left_over(self, names: Collection[str]) -> tuple[list[str], list[str]]:
        """Returns the weights of the body and the weights of heads that are not used here."""
        unused = sorted(name for name in set(names) - self.names if not name.endswith(_BUFFERS))
        heads = [name for name in unused if name.startswith(_HEADS)]
        return [name for name in unused if name not in heads], heads


def read_original(
    settings: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    first_joint_layer: int | None = None,
) -> Original:
    """Determines the configuration and the sources of the weights of a published model.

    settings, preprocessing: the contents of `config.json` and `preprocessor_config.json`. weights: the published
    tensors by name. first_joint_layer: the first layer that reads both modalities; None means half of the layers.

    Raises:
        ConfigurationError: the kind of model or a setting is not supported.
    """
    kind = _kind(settings)
    given = {name: value for name, value in settings.items() if value is not None}
    if kind == "vilt":
        given.pop("tie_word_embeddings", None)  # of a head that has no place here
    for name, known in _FIXED.get(kind, {}).items():
        if (value := given.get(name, known)) != known:
            raise ConfigurationError(f"expected {name} to be {known!r}, got {value!r}")
    body = TextEncoderConfig.from_hub(given if kind in _OF_TEXT else {**given, "model_type": "bert"})
    prefix = _PREFIXES[kind]
    prefix = prefix if any(name.startswith(prefix) for name in weights) else ""
    cut = body.layers // 2 if first_joint_layer is None else first_joint_layer
    if not 0 <= cut < body.layers:
        raise ConfigurationError(f"expected a first joint layer of 0 to {body.layers - 1}, got {cut}")
    fields = _fields(body) | {
        "first_joint_layer": cut,
        "norm": "pre" if kind == "vilt" else "post",
        "pools": f"{prefix}pooler.dense.weight" in weights,
    }
    sources = _layers(body.layers, cut, f"{prefix}encoder.layer", _VILT_LAYER if kind == "vilt" else LAYER)
    if fields["pools"]:
        sources |= _same("pooler.0", f"{prefix}pooler.dense")
    inside = f"{prefix}embeddings."
    match kind:
        case "vilt":
            sources |= _text_embeddings(f"{inside}text_embeddings.") | _same(
                "joint_layers.last_norm", f"{prefix}layernorm"
            )
            sources["text_norm.bias"] = WeightSource(
                (f"{inside}text_embeddings.LayerNorm.bias", f"{inside}token_type_embeddings.weight"),
                lambda bias, modality: bias + modality[0],
            )
            more = _patches(given, preprocessing, inside), _vilt_heads(given, weights, body.width)
        case "visual_bert":
            sources |= _text_embeddings(inside)
            more = _visual_bert_regions(given, inside, body.eps), _token_head("bert", weights)
        case "oscar":
            sources |= _text_embeddings(inside)
            more = _oscar_regions(given, prefix), _token_head("bert", weights)
        case _:
            sources |= _text_embeddings(inside, body.padding + 1 if body.family == "roberta" else 0)
            more = _fresh_stem(body.width), _token_head(body.family, weights)
    for new_fields, new_sources in more:
        fields |= new_fields
        sources |= new_sources
    return Original(kind, fields, sources)


Found = tuple[dict[str, Any], dict[str, WeightSource]]
"""Fields of a configuration, and the sources of weights by the names of the weights here."""


def _kind(settings: Mapping[str, Any]) -> str:
    kind = "oscar" if settings.get(_OF_OSCAR) else settings.get("model_type")
    if kind not in _PREFIXES:
        raise ConfigurationError(
            f"expected a model_type of {', '.join(CONVERTED)}, or bert with {_OF_OSCAR} (OSCAR, VinVL), got {kind!r}"
        )
    return str(kind)


def _fields(body: TextEncoderConfig) -> dict[str, Any]:
    return {
        "vocabulary": body.vocabulary,
        "max_text_tokens": body.max_tokens,
        "width": body.width,
        "heads": body.heads,
        "feed_forward": body.feed_forward,
        "layers": body.layers,
        "norms_at_cut": False,
        "eps": body.eps,
        "text_eps": body.eps,
        "tasks": (),
        "answers": (),
    }


def _same(ours: str, theirs: str) -> dict[str, WeightSource]:
    return {f"{ours}.{kind}": WeightSource((f"{theirs}.{kind}",)) for kind in ("weight", "bias")}


def _layers(layers: int, cut: int, prefix: str, names: Mapping[str, tuple[str, ...]]) -> dict[str, WeightSource]:
    """Returns the sources of all layers. The lower layers are used for both modalities."""
    lower = range(cut)
    sources = {}
    for stack, numbers in {"text_layers": lower, "image_layers": lower, "joint_layers": range(cut, layers)}.items():
        for ours, number in enumerate(numbers):
            for part, theirs in names.items():
                for kind in ("weight", "bias"):
                    published = tuple(f"{prefix}.{number}.{one}.{kind}" for one in theirs)
                    sources[f"{stack}.layers.{ours}.{part}.{kind}"] = WeightSource(published)
    return sources


def _text_embeddings(prefix: str, first_position: int = 0) -> dict[str, WeightSource]:
    def placed(positions: Tensor, types: Tensor) -> Tensor:
        return positions[first_position:] + types[0]

    return {
        "token_embedding.weight": WeightSource((f"{prefix}word_embeddings.weight",)),
        "text_position.weight": WeightSource(
            (f"{prefix}position_embeddings.weight", f"{prefix}token_type_embeddings.weight"), placed
        ),
        **_same("text_norm", f"{prefix}LayerNorm"),
    }


def _token_head(family: Family, weights: Collection[str]) -> Found:
    names = {ours.replace("head", "token_head", 1): theirs for ours, theirs in HEAD[family].items()}
    if f"{names['token_head.dense']}.weight" not in weights:
        return {}, {}
    sources = {"token_head.bias": WeightSource((f"{names.pop('token_head')}.bias",))}
    for ours, theirs in names.items():
        sources |= _same(ours, theirs)
    return {"predicts_tokens": True}, sources


def _fresh_stem(width: int) -> Found:
    """Gives a text body untrained convolutions for pictures."""
    return {"sight": "convolutions", "stem": (48, 96, 192, width), "image_size": 256}, {}


def _visual_bert_regions(settings: Mapping[str, Any], prefix: str, eps: float) -> Found:
    """All regions have position 0 and type 1 (arXiv:1908.03557)."""

    def bias(own: Tensor, positions: Tensor, types: Tensor) -> Tensor:
        return own + positions[0] + types[1]

    tables = (f"{prefix}visual_position_embeddings.weight", f"{prefix}visual_token_type_embeddings.weight")
    return {"sight": "regions", "region_width": _whole(settings, "visual_embedding_dim", 512), "image_eps": eps}, {
        "stem.weight": WeightSource((f"{prefix}visual_projection.weight",)),
        "stem.bias": WeightSource((f"{prefix}visual_projection.bias", *tables), bias),
        **_same("image_norm", f"{prefix}LayerNorm"),
    }


def _oscar_regions(settings: Mapping[str, Any], prefix: str) -> Found:
    """Regions are projected (OSCAR, arXiv:2004.06165), and normed in VinVL (arXiv:2101.00529)."""
    if str(settings.get("img_feature_type", "")).startswith("dis_code"):
        raise ConfigurationError(f"expected regions as features, got img_feature_type {settings['img_feature_type']!r}")
    fields: dict[str, Any] = {"sight": "regions", "region_width": _whole(settings, _OF_OSCAR, 2054)}
    sources = _same("stem", f"{prefix}img_embedding")
    if settings.get("use_img_layernorm"):
        fields["image_eps"] = settings.get("img_layer_norm_eps", 1e-12)
        sources |= _same("image_norm", f"{prefix}LayerNorm")
    return fields, sources


def _patches(settings: Mapping[str, Any], preprocessing: Mapping[str, Any], prefix: str) -> Found:
    """ViLT (arXiv:2102.03334). Here pixels lie between -1 and 1: another mean and deviation go into the projection."""
    mean, deviation = (torch.tensor(preprocessing.get(name) or [0.5] * 3) for name in ("image_mean", "image_std"))
    scale, shift = 0.5 / deviation, (0.5 - mean) / deviation
    patch = _whole(settings, "patch_size", 32)
    if (divisor := preprocessing.get("size_divisor", patch)) != patch:
        raise ConfigurationError(f"expected size_divisor to be patch_size {patch}, got {divisor!r}")
    image_size = _whole(settings, "image_size", 384)
    size = preprocessing.get("size", image_size)
    sizes = size if isinstance(size, dict) else {"shortest_edge": size}  # older files have the number alone
    fields = {
        "sight": "patches",
        "image_size": image_size,
        "patch": patch,
        "shorter_side": _whole(sizes, "shortest_edge", image_size),
    }
    projection = f"{prefix}patch_embeddings.projection"
    positions, modality = f"{prefix}position_embeddings", f"{prefix}token_type_embeddings.weight"
    return fields, {
        "stem.project.weight": WeightSource((f"{projection}.weight",), lambda weight: weight * scale[:, None, None]),
        "stem.project.bias": WeightSource(
            (f"{projection}.bias", f"{projection}.weight", modality),
            lambda bias, weight, types: bias + weight.sum(dim=(2, 3)) @ shift + types[1],
        ),
        "stem.whole": WeightSource(
            (f"{prefix}cls_token", positions, modality), lambda own, table, types: own[0, 0] + table[0, 0] + types[1]
        ),
        "image_position": WeightSource((positions,), lambda table: table[0, 1:]),
    }


def _vilt_heads(settings: Mapping[str, Any], weights: Mapping[str, Tensor], width: int) -> Found:
    """Returns the head for retrieval or for questions about one picture."""
    if "rank_output.weight" in weights:
        return {"tasks": ("match",)}, _same("match_head", "rank_output")
    hidden = weights.get("classifier.0.weight")
    if hidden is None or hidden.shape[1:] != (width,) or "classifier.3.weight" not in weights:
        return {}, {}
    names = settings.get("id2label") or {}
    answers = tuple(str(names.get(str(row), f"LABEL_{row}")) for row in range(len(weights["classifier.3.weight"])))
    sources = _same("answer_hidden.0", "classifier.0") | _same("answer_hidden.1", "classifier.1")
    fields = {"tasks": ("answer",), "answers": answers, "answer_width": len(hidden)}
    return fields, sources | _same("answer_head", "classifier.3")


def _whole(settings: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = settings.get(name, otherwise)
    if isinstance(value, list) and len(set(value)) == 1:
        value = value[0]
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"expected {name} to be a whole number from 1 on, got {value!r}")
    return value
