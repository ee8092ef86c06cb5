"""Imported single-stream models give what the originals give, to 1e-5: every layer's states, for texts alone, pictures
alone and both, and the results of their heads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel

from polyglance.models.checkpoint import load_folder
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.importing.conversion import import_checkpoint
from polyglance.models.protocol import ImageBatch, Picture, TextBatch
from polyglance.nn.states import TokenStates
from tests.single_stream_checkpoints import (
    LAYERS,
    REGION_WIDTH,
    TEXTS,
    bert,
    oscar,
    roberta,
    vilt,
    vilt_processor,
    visual_bert,
    xlm_roberta,
)

SIZES = [(24, 24), (60, 30), (17, 90), (31, 29), (100, 24), (5, 400)]
"""Of pictures, width by height."""
REGIONS = (3, 1, 4)


def imported(folder: Path, cut: int = 0) -> SingleStreamModel:
    import_checkpoint(str(folder), folder / "ours", first_joint_layer=cut)
    return load_folder(folder / "ours", torch.float32)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def joint_states(model: SingleStreamModel, *states: TokenStates) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(states, mask) before each joint layer and in the end, without a token of the task."""
    x, mask = model.join("embed", *states)
    x, mask = x[:, 1:], mask[:, 1:]
    layers = len(model.joint_layers.layers)
    return [(x, mask)] + [(model.joint_layers(x, mask, layers=range(number)), mask) for number in range(1, layers + 1)]


def text_inputs(batch: TextBatch) -> dict[str, torch.Tensor]:
    return {"input_ids": batch.ids, "attention_mask": batch.mask.long()}


# -- text bodies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [bert, roberta, xlm_roberta])
@torch.no_grad()
def test_text_bodies(write, tmp_path: Path) -> None:
    theirs = write(tmp_path)
    model = imported(tmp_path)
    batch = model.tokenize(TEXTS)
    out = theirs(**text_inputs(batch), output_hidden_states=True)
    ours = joint_states(model, model.read_text(batch))
    assert len(ours) == len(out.hidden_states) == LAYERS + 1
    for (states, mask), expected in zip(ours, out.hidden_states, strict=True):
        assert torch.equal(mask, batch.mask)
        assert_close(states[mask], expected[mask])
    assert_close(model.predict_tokens(batch, batch.mask)[None], out.logits[batch.mask])


@pytest.mark.parametrize("write", [bert, roberta, xlm_roberta])
@torch.no_grad()
def test_lower_layers_read_a_text_as_the_original_does(write, tmp_path: Path) -> None:
    theirs = write(tmp_path)
    model = imported(tmp_path, cut=2)
    batch = model.tokenize(TEXTS)
    expected = theirs(**text_inputs(batch), output_hidden_states=True).hidden_states
    states = model.read_text(batch)
    assert_close(states.hidden[batch.mask], expected[2][batch.mask])
    for number, (ours, mask) in enumerate(joint_states(model, states)):
        assert_close(ours[mask], expected[2 + number][mask])


# -- regions -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Seen:
    """What the originals are given. features: (batch, regions, width). mask: where there is a region."""

    features: torch.Tensor
    mask: torch.Tensor

    def batch(self) -> ImageBatch:
        rows = [row[real].numpy() for row, real in zip(self.features, self.mask, strict=True)]
        return ImageBatch.of([Picture((1, 1), row) for row in rows])


def regions(width: int) -> Seen:
    """Of different numbers, one among them."""
    torch.manual_seed(1)
    mask = torch.arange(max(REGIONS))[None] < torch.tensor(REGIONS)[:, None]
    return Seen(torch.randn(*mask.shape, width), mask)


def region_states(original: object, texts: TextBatch, pictures: Seen) -> tuple[torch.Tensor, ...]:
    if isinstance(original, PreTrainedModel):
        return original(
            **text_inputs(texts),
            visual_embeds=pictures.features,
            visual_attention_mask=pictures.mask.long(),
            output_hidden_states=True,
        ).hidden_states
    return original.states(texts.ids, texts.mask, pictures.features, pictures.mask)


@pytest.mark.parametrize(
    ("write", "width"),
    [(visual_bert, REGION_WIDTH), (oscar, 2054), (lambda folder: oscar(folder, normed=True), 2054)],
    ids=["visual_bert", "oscar", "vinvl"],
)
@torch.no_grad()
def test_models_of_regions(write, width: int, tmp_path: Path) -> None:
    theirs = write(tmp_path)
    model = imported(tmp_path)
    texts, pictures = model.tokenize(TEXTS), regions(width)
    text, image = model.read_text(texts), model.read_images(pictures.batch())
    assert torch.equal(image.mask, pictures.mask)
    both = region_states(theirs, texts, pictures)
    for (ours, mask), expected in zip(joint_states(model, text, image), both, strict=True):
        assert_close(ours[mask], expected[mask])
    # Alone: the other side is there, and nobody sees it
    nothing = torch.zeros_like
    alone = region_states(theirs, texts, Seen(pictures.features, nothing(pictures.mask)))
    for (ours, mask), expected in zip(joint_states(model, text), alone, strict=True):
        assert_close(ours[mask], expected[:, : mask.shape[1]][mask])
    alone = region_states(theirs, TextBatch(texts.ids, nothing(texts.mask)), pictures)
    for (ours, mask), expected in zip(joint_states(model, image), alone, strict=True):
        assert_close(ours[mask], expected[:, -mask.shape[1] :][mask])


@torch.no_grad()
def test_lower_layers_read_regions_as_the_original_does(tmp_path: Path) -> None:
    theirs = visual_bert(tmp_path)
    model = imported(tmp_path, cut=2)
    texts, pictures = model.tokenize(TEXTS), regions(REGION_WIDTH)
    seen = Seen(pictures.features, torch.zeros_like(pictures.mask))
    text = region_states(theirs, texts, seen)[2][:, : texts.mask.shape[1]]
    assert_close(model.read_text(texts).hidden[texts.mask], text[texts.mask])
    unseen = TextBatch(texts.ids, torch.zeros_like(texts.mask))
    image = region_states(theirs, unseen, pictures)[2][:, texts.mask.shape[1] :]
    assert_close(model.read_images(pictures.batch()).hidden[pictures.mask], image[pictures.mask])


@torch.no_grad()
def test_a_pooled_result_is_the_originals(tmp_path: Path) -> None:
    theirs = visual_bert(tmp_path).visual_bert
    model = imported(tmp_path)
    texts, pictures = model.tokenize(TEXTS), regions(REGION_WIDTH)
    out = theirs(
        **text_inputs(texts), visual_embeds=pictures.features, visual_attention_mask=pictures.mask.long()
    ).pooler_output
    assert_close(model.joint("match", model.read_text(texts), model.read_images(pictures.batch()))[0], out)


# -- patches -----------------------------------------------------------------------------------------------------------


def photograph(size: tuple[int, int]) -> Image.Image:
    generator = np.random.default_rng(size[0])
    small = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(small)


def pixels(model: SingleStreamModel, pictures: list[Image.Image]) -> ImageBatch:
    return ImageBatch(torch.from_numpy(np.stack([model.preprocess(picture) for picture in pictures])))


def in_any_order(rows: torch.Tensor) -> torch.Tensor:
    """ViLT shuffles the patches of a picture, which changes no result: sorted by their first value."""
    return rows[rows[:, 0].argsort()]


@torch.no_grad()
def test_vilt_picture_by_picture(tmp_path: Path) -> None:
    theirs, processor = vilt(tmp_path), vilt_processor()
    model = imported(tmp_path)
    text = model.tokenize([TEXTS[1]])
    for size in SIZES[:-1]:
        picture = photograph(size)
        prepared = processor(picture, return_tensors="pt")
        out = theirs(**text_inputs(text), **prepared, output_hidden_states=True)
        image = model.read_images(pixels(model, [picture]))
        assert image.mask.all()
        length = text.ids.shape[1]
        found = [states for states, _ in joint_states(model, model.read_text(text), image)]
        expected = [*out.hidden_states[:-1], out.last_hidden_state]
        for ours, wanted in zip(found, expected, strict=True):
            assert_close(ours[0, : length + 1], wanted[0, : length + 1])
            assert_close(in_any_order(ours[0, length + 1 :]), in_any_order(wanted[0, length + 1 :]))
        assert_close(model.joint("match", model.read_text(text), image)[0], out.pooler_output)


@torch.no_grad()
def test_vilt_in_a_padded_batch(tmp_path: Path) -> None:
    theirs, processor = vilt(tmp_path, "retrieval"), vilt_processor()
    model = imported(tmp_path)
    assert model.tasks == ("match",)
    pictures = [photograph(size) for size in SIZES[:3]]
    texts = model.tokenize(TEXTS)
    image = model.read_images(pixels(model, pictures))
    assert not image.mask.all()
    out = theirs(**text_inputs(texts), **processor(pictures, return_tensors="pt"), output_hidden_states=True)
    assert_close(model.match(model.read_text(texts), image)[:, None], out.logits)
    length = texts.ids.shape[1]
    states = joint_states(model, model.read_text(texts), image)
    for (ours, _), wanted in zip(states[:-1], out.hidden_states[:-1], strict=True):
        assert_close(ours[:, :length][texts.mask], wanted[:, :length][texts.mask])
        for row, real in enumerate(image.mask.sum(dim=1).tolist()):  # the real patches come first there as well
            one, other = ours[row, length:][:real], wanted[row, length:][:real]
            assert_close(in_any_order(one), in_any_order(other))


@torch.no_grad()
def test_vilt_answers(tmp_path: Path) -> None:
    theirs, processor = vilt(tmp_path, "answers"), vilt_processor()
    model = imported(tmp_path)
    pictures = [photograph(size) for size in SIZES[2:5]]
    texts = model.tokenize(TEXTS)
    prepared = processor(pictures, return_tensors="pt")
    assert model.answers == tuple(theirs.config.id2label.values())
    assert model.tasks == ("answer",)
    logits = model.answer_logits(model.read_text(texts), model.read_images(pixels(model, pictures)))
    assert_close(logits, theirs(**text_inputs(texts), **prepared).logits)


@torch.no_grad()
def test_vilt_with_another_mean_and_deviation(tmp_path: Path) -> None:
    settings = {"image_mean": [0.48, 0.4, 0.3], "image_std": [0.26, 0.2, 0.5]}
    theirs, processor = vilt(tmp_path, "retrieval", **settings), vilt_processor(**settings)
    model = imported(tmp_path)
    text, picture = model.tokenize(TEXTS[:1]), photograph(SIZES[1])
    expected = theirs(**text_inputs(text), **processor(picture, return_tensors="pt")).logits
    assert_close(model.match(model.read_text(text), model.read_images(pixels(model, [picture])))[:, None], expected)


@torch.no_grad()
def test_vilts_lower_layers_read_a_modality_alone(tmp_path: Path) -> None:
    theirs, processor = vilt(tmp_path), vilt_processor()
    model = imported(tmp_path, cut=2)
    text, picture = model.tokenize([TEXTS[0]]), photograph(SIZES[1])
    embedded, _ = theirs.embeddings(
        text.ids,
        text.mask.long(),
        None,
        **processor(picture, return_tensors="pt"),
        inputs_embeds=None,
        image_embeds=None,
    )
    length = text.ids.shape[1]
    for states, x in (
        (model.read_text(text), embedded[:, :length]),
        (model.read_images(pixels(model, [picture])), embedded[:, length:]),
    ):
        for layer in theirs.encoder.layer[:2]:
            x = layer(x)[0]
        assert_close(states.hidden[0, :1], x[0, :1])
        assert_close(in_any_order(states.hidden[0]), in_any_order(x[0]))


def test_pictures_are_prepared_as_vilts_processor_does(tmp_path: Path) -> None:
    vilt(tmp_path)
    model, processor = imported(tmp_path), vilt_processor()
    for size in SIZES[:-1]:
        canvas = torch.from_numpy(model.preprocess(photograph(size)))
        expected = processor(photograph(size), return_tensors="pt").pixel_values[0]
        high, wide = canvas[0, -1, 0] * 4, canvas[1, -1, 0] * 4
        assert (high, wide) == expected.shape[1:]
        torch.testing.assert_close(canvas[:, :high, :wide] / 127.5 - 1, expected, atol=1e-5, rtol=0)
    assert model.preprocess(photograph(SIZES[-1])).shape == (3, 37, 36), "a long picture keeps one patch a side"
