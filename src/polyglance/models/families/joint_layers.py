"""Joint layers over towers that are initialised from a text encoder."""

from pathlib import Path

import torch
from torch import nn

from polyglance.errors import ConfigurationError
from polyglance.kernels.processor import native_dtype
from polyglance.models.families.dual_tower import DualTowerModel
from polyglance.models.families.text_encoder import load_text_encoder


def over_towers(
    towers: Path, encoder: Path, layers: int = 4, name: str | None = None, dtype: torch.dtype | None = None
) -> DualTowerModel:
    """Puts the upper layers of a text encoder on the towers of a published checkpoint, as joint layers.

    The maps from the towers' states to the encoder's width are drawn at random.

    towers: the folder of the towers. encoder: the folder of a text encoder of the BERT or RoBERTa family, such as
    MiniLM or XLM-R. layers: the number of its upper layers to use. name: the name of the model; None means the folder's
    name. dtype: as in `load_folder`.

    Raises:
        CheckpointError: a folder cannot be used.
        ConfigurationError: the encoder has fewer layers.
    """
    body = load_text_encoder(encoder, torch.float32)
    c = body.config
    if not 0 < layers <= c.layers:
        raise ConfigurationError(f"expected 1 to {c.layers} layers of {encoder}, got {layers}")
    model = DualTowerModel.from_checkpoint(
        towers,
        name or towers.resolve().name,
        torch.float32,
        width=c.width,
        heads=c.heads,
        feed_forward=c.feed_forward,
        norm="post",
        eps=c.eps,
        layers=layers,
    )
    model.joint_layers.layers.load_state_dict(nn.ModuleList(list(body.encoder.layers)[-layers:]).state_dict())
    model.fingerprint = model.hashed()
    return model.to(dtype or native_dtype())
