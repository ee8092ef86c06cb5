"""Pre-trains the body without the tasks: it never sees a question with its answer. There are two stages:

1. `places`: the lower half of the layers learns which cells a caption or a foil refers to.
2. `words`: all layers learn to
   - predict the masked words of a true caption, or of a question, beside its picture (masked-language modelling);
   - tell a true caption from its foil, and its picture from one for which it is false (matching);
   - predict which fragments of a caption are true and, halfway up, still the cells (the scene graph).

The first stage exists because everything else depends on the cells, which the second stage alone learns slowly.
"""

import random
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.adapterdrop.body import BodyConfig, SceneBody
from experiments.adapterdrop.graph_targets import WORDS, CellHead, relation_targets, word_targets
from experiments.adapterdrop.pictures import Pictures
from experiments.adapterdrop.settings import Settings
from experiments.pretraining.grounding import FRAGMENTS, PARTS, GroundingHead, fragments_hold, spoken_of
from experiments.pretraining.joint_batches import WordBatch, WordSource
from polyglance import atomic
from polyglance.data.tokenization import MASK, SPECIAL_TOKENS, Tokenizer
from polyglance.kernels.processor import native_autocast
from polyglance.models.protocol import TextBatch
from polyglance.scenes import meaning as m
from polyglance.scenes.captions import sample_caption
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import sample_question
from polyglance.scenes.sampling import Scene
from polyglance.scenes.truth import SceneIndex
from polyglance.training.loop import Losses, Schedule, fit
from polyglance.training.seeds import generator_of
from polyglance.types import StageProgress

MASKED = 0.2
"""The share of a text's tokens that are masked."""


def pretrained_body(
    settings: Settings, pictures: Pictures, folder: Path, report: StageProgress | None = None
) -> SceneBody:
    """Returns the body of `folder/body.safetensors`, frozen. If it is missing, trains it first, resuming a stopped
    run."""
    tokenizer = _tokenizer(settings, pictures, folder / "tokenizer.json")
    torch.manual_seed(settings.seed)
    body = SceneBody(BodyConfig(tokenizer.vocabulary, settings.layers, settings.width, settings.heads), tokenizer)
    path = folder / "body.safetensors"
    if not path.exists():
        _pretrain(body, settings, pictures, folder, report)
        with atomic.whole(path) as draft:
            save_file(body.state_dict(), draft)
    body.load_state_dict(load_file(path))
    return body.requires_grad_(False).eval()


def _pretrain(
    body: SceneBody, settings: Settings, pictures: Pictures, folder: Path, report: StageProgress | None
) -> None:
    source = WordSource(
        index=SceneIndex([pictures.scenes[row] for row in pictures.train]),
        gallery=(),
        languages=("en",),
        encode=body.tokenize,
        seed=settings.seed,
        captions=settings.captions,
        names=0,
        questions=settings.questions,
    )
    losses = PretrainingLosses(body, source, pictures.states)
    places = Schedule(settings.place_steps, 2e-3, warmup=min(100, settings.place_steps // 4))
    words = Schedule(settings.word_steps, 1.5e-3, warmup=min(200, settings.word_steps // 4))
    fit("places", losses, losses.places, places, folder, report)
    fit("words", losses, losses.words, words, folder, report)


class PretrainingLosses(nn.Module):
    """The losses of a step in each stage. pictures: the states of the source's scenes."""

    def __init__(self, body: SceneBody, source: WordSource, pictures: Float[Tensor, "scenes cells values"]) -> None:
        super().__init__()
        width = body.config.width
        self.body, self.source, self.pictures = body, source, pictures
        self.match_head = nn.Linear(width, 1)
        self.word_head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, body.config.vocabulary))
        self.grounding = GroundingHead(width)
        self.phrase_words = CellHead(width, PARTS * len(WORDS))
        self.relations = CellHead(width, FRAGMENTS)
        self.half = (len(body.encoder.layers) + 1) // 2
        self.upper = (self.half + len(body.encoder.layers)) // 2
        self._ahead: tuple[int, Future[WordBatch]] | None = None
        self._thread = ThreadPoolExecutor(1)

    def places(self, step: int) -> Losses:
        """Returns the losses of each caption and its foil, in the lower half of the layers."""
        batch = self._batch(step)
        rows = batch.rows.repeat(2)
        with native_autocast(torch.device("cpu")):
            x, mask = self.body.embed(batch.texts, self.pictures[rows])
            halfway = self.body.encoder(x, mask, layers=range(self.half))
            return self._place_terms(halfway, rows, [*batch.captions, *batch.false_captions])

    def words(self, step: int) -> Losses:
        """Returns the losses of each caption, true, false and masked, and of masked questions."""
        batch = self._batch(step)
        generator = generator_of(self.source.seed, step)
        with native_autocast(torch.device("cpu")):
            return {**self._caption_terms(batch), **self._word_terms(batch, generator)}

    def _caption_terms(self, batch: WordBatch) -> Losses:
        """Returns the losses of three pairs per caption: the right one, one with a picture for which it is false, and
        its foil with the right picture."""
        captions = len(batch.captions)
        own = torch.arange(captions)
        text = torch.cat([own, own, own + captions])
        row = torch.cat([batch.rows, torch.where(batch.near_rows < 0, batch.rows.roll(1), batch.near_rows), batch.rows])
        texts = TextBatch(batch.texts.ids[text], batch.texts.mask[text])
        x, mask = self.body.embed(texts, self.pictures[row])
        halfway = self.body.encoder(x, mask, layers=range(self.half))
        above = self.body.encoder(halfway, mask, layers=range(self.half, self.upper))
        result, _ = self.body.encoder.first(above, mask, start=self.upper)
        right, wrong, foils = self.match_head(result).squeeze(-1).float().split(captions)
        meant = [*batch.captions, *batch.captions, *batch.false_captions]
        scenes = self._scenes(row)
        return {
            "match": F.softplus(-right).mean() + (F.softplus(wrong).mean() + F.softplus(foils).mean()) / 2,
            "rank": (F.softplus(wrong - right).mean() + F.softplus(foils - right).mean()) / 2,
            "fragments": self.grounding.fragment_loss(result, fragments_hold(scenes, meant)),
            "relations": 0.1 * self.relations.loss(above, relation_targets(scenes, meant)),
            **self._place_terms(halfway, row, meant),
        }

    def _place_terms(
        self, halfway: Float[Tensor, "texts tokens width"], rows: Int[Tensor, " texts"], meant: Sequence[m.Caption]
    ) -> Losses:
        scenes = self._scenes(rows)
        return {
            "cells": 0.1 * self.grounding.cell_loss(halfway, spoken_of(scenes, meant)),
            "phrase_words": 0.05 * self.phrase_words.loss(halfway, word_targets(scenes, meant)),
        }

    def _word_terms(self, batch: WordBatch, generator: torch.Generator) -> Losses:
        captions = len(batch.captions)
        true = TextBatch(batch.texts.ids[:captions], batch.texts.mask[:captions])
        pictures = self.pictures[torch.cat([batch.rows, batch.question_rows])]
        texts = _below(true, batch.questions)
        masked = _masked(texts.mask, generator)
        hidden = self.body(TextBatch(texts.ids.masked_fill(masked, SPECIAL_TOKENS.index(MASK)), texts.mask), pictures)
        logits = self.word_head(hidden[:, 1 : 1 + texts.ids.shape[1]][masked]).float()
        loss = F.cross_entropy(logits, texts.ids[masked], reduction="none")
        of_caption = masked.nonzero()[:, 0] < captions
        return {"caption_words": loss[of_caption].mean(), "question_words": loss[~of_caption].mean()}

    def _scenes(self, rows: Int[Tensor, " texts"]) -> list[Scene]:
        return [self.source.scenes[row] for row in rows.tolist()]

    def _batch(self, step: int) -> WordBatch:
        """Returns the texts of this step and starts drawing those of the next one in a thread."""
        batch = self._ahead[1].result() if self._ahead and self._ahead[0] == step else self.source(step)
        self._ahead = (step + 1, self._thread.submit(self.source, step + 1))
        return batch


def _below(first: TextBatch, second: TextBatch) -> TextBatch:
    """Concatenates the texts of both."""
    tokens = max(first.ids.shape[1], second.ids.shape[1])
    ids, mask = (
        torch.cat([F.pad(part, (0, tokens - part.shape[1])) for part in parts])
        for parts in ((first.ids, second.ids), (first.mask, second.mask))
    )
    return TextBatch(ids, mask)


def _masked(mask: Bool[Tensor, "texts tokens"], generator: torch.Generator) -> Bool[Tensor, "texts tokens"]:
    """Draws a share of the real tokens, and at least one of each text."""
    drawn = torch.rand(mask.shape, generator=generator).masked_fill(~mask, 1)
    return (drawn < MASKED) | (drawn == drawn.amin(dim=1, keepdim=True))


def _tokenizer(settings: Settings, pictures: Pictures, path: Path) -> Tokenizer:
    """Returns a tokenizer trained on one caption and one question for each of up to 10,000 training scenes."""
    if not path.exists():
        rng, english = random.Random(f"tokenizer {settings.seed}"), grammar("en")
        texts = []
        for row in pictures.train[:10_000]:
            scene = pictures.scenes[row]
            texts += [english.caption(sample_caption(scene, rng)), english.say(sample_question(scene, rng)[0])]
        Tokenizer.train(texts, settings.vocabulary).save(path)
    return Tokenizer.load(path)
