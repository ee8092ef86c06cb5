"""A model of the real kind that takes a second to make: tiny, untrained, the same for the same seed."""

from pathlib import Path

import torch

from polyglance.data.tokenization import Tokenizer
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models.checkpoint import save_model
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel


def save_tiny_model(folder: Path, seed: int = 0, joint_layers: int = 1) -> Path:
    torch.manual_seed(seed)
    tokenizer = Tokenizer.train(["a red star on a white plate", "ein roter Stern", "красная звезда"], 300)
    config = SingleStreamConfig(
        vocabulary=tokenizer.vocabulary,
        answers=("yes", "no", "red", "green", "blue", "star"),
        languages=DEMO_LANGUAGES,
        width=16,
        heads=2,
        feed_forward=16,
        layers=1 + joint_layers,
        first_joint_layer=1,
        stem=(8, 16),
        image_size=32,
        kept_grid=2,
        state_width=8,
        embedding_dim=16,
        max_text_tokens=32,
    )
    save_model(SingleStreamModel(config, tokenizer, "tiny").eval(), folder)
    return folder
