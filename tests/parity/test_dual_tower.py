"""Towers give the scores that transformers gives for the same files and the checkpoint's own processor, to 1e-5."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polyglance.data.images import decode
from polyglance.models import load_model
from polyglance.models.checkpoint import load_folder
from polyglance.models.protocol import ImageBatch
from tests.checkpoints import DUAL_TOWERS, pictures

TEXTS = [
    "a red star on a white plate",
    "",
    "two green cars beside a tree and " * 6,
    "白色盘子上的红星",
    "star",
]


@pytest.mark.parametrize("name", DUAL_TOWERS)
def test_scores_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    folder = DUAL_TOWERS[name](tmp_path / name)
    model = load_folder(folder, torch.float32)
    images = [decode(path) for path in pictures(tmp_path / "pictures")]
    pixels = torch.from_numpy(np.stack([model.preprocess(image) for image in images]))
    of_images = model.embed(model.read_images(ImageBatch(pixels)))
    of_texts = model.embed(model.read_text(model.tokenize(TEXTS)))

    network, inputs = theirs(folder, name, images)
    with torch.no_grad():
        expected = network(**inputs)
    bias = getattr(network, "logit_bias", 0.0)
    ours = of_images @ of_texts.T * network.logit_scale.exp() + bias
    torch.testing.assert_close(ours, expected.logits_per_image, atol=1e-5, rtol=1e-5)
    assert expected.logits_per_image.std() > 0.1, "scores that hardly differ would show nothing"
    torch.testing.assert_close(of_texts, expected.text_embeds, atol=1e-5, rtol=1e-5)
    seen = expected.vision_model_output.last_hidden_state
    if "spatial_shapes" in inputs:  # of what stands behind a picture's patches nothing is said
        seen = seen.masked_fill(inputs["pixel_attention_mask"][..., None] == 0, 0)
    torch.testing.assert_close(model.see(ImageBatch(pixels)), seen, atol=1e-5, rtol=1e-5)
    states = model.read_text(model.tokenize(TEXTS))
    hidden = expected.text_model_output.last_hidden_state[:, : states.hidden.shape[1]]
    torch.testing.assert_close(states.hidden[states.mask], hidden[states.mask], atol=1e-5, rtol=1e-5)
    assert model.config.temperature == pytest.approx(1 / network.logit_scale.exp().item())


def theirs(folder: Path, name: str, images: list[Any]) -> tuple[Any, dict[str, torch.Tensor]]:
    """transformers' model of the folder, and what its processor makes of pictures and texts."""
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, PreTrainedTokenizerFast

    of_siglip = name.startswith("siglip")  # whose own class wants SentencePiece, which is not installed
    tokenizer = (PreTrainedTokenizerFast if of_siglip else AutoTokenizer).from_pretrained(folder)
    padding = "max_length" if of_siglip else True
    texts = tokenizer(TEXTS, padding=padding, truncation=True, return_tensors="pt")
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    network = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    return network, {**texts, **processor(images=images, return_tensors="pt")}


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_pixels_are_those_of_the_processor(tmp_path: Path, name: str) -> None:
    from transformers import AutoImageProcessor

    folder = DUAL_TOWERS[name](tmp_path / name)
    model = load_model(str(folder))
    images = [decode(path) for path in pictures(tmp_path / "pictures")]
    expected = AutoImageProcessor.from_pretrained(folder, backend="pil")(images=images, return_tensors="pt")
    pixels = torch.from_numpy(np.stack([model.preprocess(image) for image in images]))
    ours = model.tower.normalised(pixels, torch.float32)
    torch.testing.assert_close(ours, expected["pixel_values"], atol=1e-6, rtol=1e-6)
