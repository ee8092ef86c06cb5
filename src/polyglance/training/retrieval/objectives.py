"""The losses of a retrieval training: of the twin encoder, the cross-encoder or both (arXiv:2103.11920)."""

import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polyglance.errors import ConfigurationError
from polyglance.models.families.cut_model import CutModel
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.models.reading import PICTURES, TEXTS, open_pictures
from polyglance.nn.states import TokenStates
from polyglance.training.devices import Devices, Precision, native_precision
from polyglance.training.frozen_pictures import PictureInputs, is_frozen, kept_pictures, reads_once
from polyglance.training.frozen_texts import KeptTexts, keep_texts
from polyglance.training.loop import Losses, hold_statistics
from polyglance.training.losses import (
    binary_match,
    hard_negatives,
    hardest_triplet,
    info_nce,
    pairwise_sigmoid,
    ranked_match,
    taught_order,
)
from polyglance.training.retrieval.caption_batches import CaptionBatch, CaptionSource
from polyglance.training.retrieval.mining import NEAREST, nearest_wrong
from polyglance.training.retrieval.teacher import Teacher
from polyglance.training.seeds import check_seed, generator_of, seeded
from polyglance.training.state_cache import KeptStates, keep_states
from polyglance.types import StageProgress

MARGIN: Final = 0.1
SHARPNESS: Final = 15.0
PASSES: Final = 3
"""The number of passes of the joint layers in a step on a CPU."""

Mode = Literal["twin", "cross", "joint"]
TwinLoss = Literal["info_nce", "sigmoid", "triplet"]
MatchLoss = Literal["hard", "binary"]


@dataclass(frozen=True)
class RetrievalSettings:
    """The settings of a retrieval training.

    mode: trains the `twin` encoder, the `cross`-encoder, or both (`joint`). twin_loss: `info_nce` (arXiv:2103.00020),
    `sigmoid` (arXiv:2303.15343), or `triplet` with the hardest negative, which the authors of arXiv:2103.11920 use.
    match_loss: `hard`, cross-entropy with negatives that the twin encoder ranks high; or `binary`, with one random
    negative per pair, which the authors use. sharpness: the factor of the twin encoder's similarity when negatives of
    the `hard` loss are drawn (`losses.hard_negatives`); 0 draws them at random. adapters: whether to train only one
    adapter and head per task in a frozen body, or, for a model with towers, one adapter in each tower and everything
    above them. depth: the first layer with adapters, of the joint layers or of the towers. freeze_lower: whether the
    layers below the cut are frozen, except for the compressor. mine: the number of epochs after which the twin encoder
    mines new wrong pictures for each caption; 0 for never. distil: whether the twin encoder learns the order of the
    cross-encoder. epochs: over the captions. batch: captions per batch. learning_rate: the highest one. accumulate:
    batches per step, each with its own losses. precision: of products, bf16, fp16 or no (float32); defaults to bf16 if
    the device multiplies it faster, else to no. patience: validations without improvement after which the training
    ends. seed: of all draws.

    Raises ConfigurationError for values out of range and for settings that exclude each other.
    """

    mode: Mode = "joint"
    twin_loss: TwinLoss = "info_nce"
    match_loss: MatchLoss = "hard"
    sharpness: float = SHARPNESS
    adapters: bool = False
    depth: int = 0
    freeze_lower: bool = False
    mine: int = 0
    drop_tokens: float = 0.0
    distil: bool = False
    epochs: int = 5
    batch: int = 64
    learning_rate: float = 1e-4
    accumulate: int = 1
    precision: Precision = field(default_factory=native_precision)
    patience: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        for name, choices in (
            ("mode", Mode),
            ("twin_loss", TwinLoss),
            ("match_loss", MatchLoss),
            ("precision", Precision),
        ):
            if getattr(self, name) not in get_args(choices):
                raise ConfigurationError(
                    f"expected {name} to be one of {', '.join(get_args(choices))}, got {getattr(self, name)!r}"
                )
        if min(self.epochs, self.accumulate) < 1 or self.batch < 2:
            raise ConfigurationError(
                "expected 1 or more epochs, 2 or more captions a batch and 1 or more batches a step, got "
                f"{self.epochs}, {self.batch} and {self.accumulate}"
            )
        if not 0 <= self.sharpness < math.inf:
            raise ConfigurationError(f"expected a sharpness of 0 or more, got {self.sharpness}")
        if not 0 <= self.drop_tokens < 1:
            raise ConfigurationError(
                f"expected to drop a share of tokens from 0 to less than 1, got {self.drop_tokens}"
            )
        if self.depth and not self.adapters:
            raise ConfigurationError(
                f"expected adapters to leave out of {self.depth} layers, but all weights are trained"
            )
        if self.mine and self.mode == "cross":
            raise ConfigurationError(
                "expected a twin encoder to mine negatives by, but the mode is cross: leave mine out"
            )
        if self.distil and self.mode != "joint":
            raise ConfigurationError(
                f"expected mode joint for a model to teach itself, got {self.mode}: name another model as teacher"
            )


class RetrievalLosses(nn.Module):
    """The losses of a step: of the twin encoder, of the cross-encoder, or of both.

    model: the model to train. source: of the batches. folder: where to keep the frozen layers' states of the pictures;
    None keeps them in memory. report: called with the progress. kept: these states, if they exist already; pictures are
    not opened then. teacher: a model with a cross-encoder to learn the order of pairs from.

    Raises ConfigurationError if the settings leave nothing to train.
    """

    def __init__(
        self,
        model: CutModel,
        source: CaptionSource,
        settings: RetrievalSettings,
        folder: Path | None = None,
        report: StageProgress | None = None,
        kept: KeptStates | None = None,
        teacher: CutModel | None = None,
    ) -> None:
        super().__init__()
        self.devices = Devices(settings.precision, settings.accumulate)
        model = model.to(self.devices.device)
        self.model, self.source, self.settings, self._report = model, source, settings, report
        self.scale = nn.Parameter(torch.tensor(-math.log(model.config.temperature), device=model.device))
        self.bias = nn.Parameter(torch.tensor(-10.0, device=model.device))
        trained = model.of_tasks if settings.adapters else ("",)
        frozen = (*model.never_trained, *(model.below if settings.freeze_lower and not settings.adapters else ()))
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(trained) and not name.startswith(frozen))
        if settings.mode == "twin" and model.embeds_below and is_frozen(model, *model.below):
            raise ConfigurationError(
                f"expected something to train: the vectors of {model.name} are its towers' own, which stay as they "
                "are: train it with adapters in them, or as cross-encoder (mode cross or joint)"
            )
        self._compressed = is_frozen(model, "compressor")
        self._kept = kept
        self.teacher: Teacher | None = None
        with self.devices.first_alone():
            if reads_once(model) and kept is None:
                inputs = PictureInputs(model.eval(), source.images, self._compressed, settings.precision)
                self._kept = keep_states(inputs, folder=folder, report=report)
            self._kept_texts: KeptTexts | None = None
            if is_frozen(model, *model.of_texts):
                texts = [caption.caption for caption in source.captions]
                alone = settings.mode == "twin"
                self._kept_texts = keep_texts(model, texts, settings.precision, alone, folder, report)
            if teacher:
                self.teacher = Teacher.read(teacher.to(model.device), source.images, settings.precision, folder, report)
        self.mined: Tensor | None
        self.register_buffer(
            "mined", torch.full((len(source.captions), NEAREST), -1, dtype=torch.int32) if settings.mine else None
        )
        self._thread = ThreadPoolExecutor(1)
        self._ahead: tuple[int, Future[tuple[CaptionBatch, ImageBatch | None]]] | None = None

    def train(self, mode: bool = True) -> "RetrievalLosses":
        super().train(mode)
        hold_statistics(self.model)
        return self

    def step(self, number: int) -> Losses:
        """Returns the losses of a batch. Processes share its work, and each gets the losses of the whole batch."""
        if self._mines_at(number):
            self._mine()
        batch, pictures = self._batch(number)
        generator = generator_of(self.settings.seed, number)
        rows, device = len(batch.texts), self.model.device
        with seeded(self.settings.seed, number, device), self.devices.autocast():
            share = self.devices.share(rows)
            texts, images = self._texts(batch, share), self._images(batch.rows[share], pictures)
            terms: Losses = {}
            cosines = torch.zeros(rows, rows, device=device)
            if self.settings.mode != "cross":
                of_texts = self.devices.together(self.model.embed(texts), rows)
                of_images = self.devices.together(self.model.embed(images), rows)
                terms["twin"] = self._twin(of_texts, of_images, batch.also_true.to(device))
                cosines = of_texts @ of_images.T
            if self.settings.mode != "twin" or self.teacher:
                terms |= self._of_pairs(batch, texts, images, cosines, generator)
        return terms

    def _texts(self, batch: CaptionBatch, share: Int[Tensor, " share"]) -> TokenStates:
        """Returns the states of some texts of the batch, padded to the longest of all."""
        if self._kept_texts is not None:
            return self._kept_texts.states(batch.captions[share], batch.captions)
        tokens, there = self.model.tokenize(batch.texts), share.to(self.model.device)
        return self.model.read_text(TextBatch(tokens.ids[there], tokens.mask[there]))

    def _images(self, rows: Int[Tensor, " rows"], pictures: ImageBatch | None) -> TokenStates:
        if pictures is not None:
            return self.model.read_images(pictures)
        assert self._kept is not None
        return kept_pictures(self.model, self._kept, rows, self._compressed)

    @property
    def _scale(self) -> Float[Tensor, ""]:
        """The inverse temperature, at most 100."""
        return self.scale.exp().clamp(max=100)

    def _twin(
        self, texts: Float[Tensor, "rows dim"], images: Float[Tensor, "rows dim"], also_true: Bool[Tensor, "rows rows"]
    ) -> Tensor:
        scale = self._scale
        match self.settings.twin_loss:
            case "info_nce":
                return info_nce(texts, images, scale, also_true, texts[:0])
            case "sigmoid":
                return pairwise_sigmoid(texts, images, scale, self.bias, also_true)
            case "triplet":
                return hardest_triplet(texts, images, MARGIN, also_true)

    def _of_pairs(
        self,
        batch: CaptionBatch,
        texts: TokenStates,
        images: TokenStates,
        cosines: Float[Tensor, "rows rows"],
        generator: torch.Generator,
    ) -> Losses:
        """The losses of each right pair and two wrong ones, one with another image and one with another text.

        A caption that is true of all images of the batch, or an image that all captions are true of, is left out.
        """
        also_true, settings = batch.also_true, self.settings
        apart = (~also_true).any(dim=1) & (~also_true).any(dim=0)
        own = apart.nonzero().squeeze(1) if apart.any() else torch.zeros(1, dtype=torch.long)
        sharpness = settings.sharpness if settings.match_loss == "hard" else 0.0
        image = hard_negatives(cosines, also_true, sharpness, generator)[own]
        text = hard_negatives(cosines.T, also_true.T, sharpness, generator)[own]
        pairs = torch.cat([own, own, text]), torch.cat([own, image, own])
        text_of, image_of = pairs[0].to(cosines.device), pairs[1].to(cosines.device)
        share = self.devices.share(len(pairs[0]))
        terms: Losses = {}
        if settings.mode != "twin":
            there = share.to(cosines.device)
            texts, images = self._whole(texts, len(also_true)), self._whole(images, len(also_true))
            scores = self._columns(self._matched(texts, images, text_of[there], image_of[there]), len(own))
            said = self.model.cosine_weight * cosines.detach()[text_of, image_of].view(3, -1).T
            terms |= self._match(scores, said, generator)
            taught = scores.detach()
        if self.teacher:
            of_share = self.teacher.scores(batch.texts, batch.rows, (pairs[0][share], pairs[1][share]))
            taught = self._columns(of_share, len(own))
            if settings.mode != "twin":
                terms["match_order"] = taught_order(scores, taught)
        if settings.mode != "cross" and (self.teacher or settings.distil):
            terms["twin_order"] = taught_order(self._scale * cosines[text_of, image_of].view(3, -1).T, taught)
        return terms if apart.any() else {name: self.scale.sum() * 0 for name in terms}

    def _matched(
        self, texts: TokenStates, images: TokenStates, text_of: Int[Tensor, " pairs"], image_of: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """Returns the logits of pairs. On a CPU, texts of similar lengths are matched in one pass, so that attention
        sees little padding."""
        passes = PASSES if self.model.device.type == "cpu" else 1
        by_length = texts.mask.sum(dim=1)[text_of].argsort(stable=True)
        share, scores = self.settings.drop_tokens, []
        for some in by_length.tensor_split(min(passes, len(by_length))):
            text, image = texts[text_of[some]].trimmed(), images[image_of[some]]
            scores.append(self.model.match(_without(text, share), _without(image, share)))
        return torch.cat(scores)[by_length.argsort()]

    def _whole(self, share: TokenStates, rows: int) -> TokenStates:
        """Gathers the states of the whole batch from the shares of all processes."""
        mask = self.devices.together(share.mask.byte(), rows).bool()
        return TokenStates(self.devices.together(share.hidden, rows), mask, share.modality)

    def _columns(self, share: Float[Tensor, " share"], rows: int) -> Float[Tensor, "rows 3"]:
        return self.devices.together(share.float(), 3 * rows).view(3, rows).T

    def _match(
        self, scores: Float[Tensor, "rows 3"], said: Float[Tensor, "rows 3"], generator: torch.Generator
    ) -> Losses:
        """The match losses.

        scores: of the right pair, the pair with a wrong image and the pair with a wrong text. said: what the twin
        encoder adds to them when candidates are put in order (`Matcher.cosine_weight`).
        """
        right, wrong = scores[:, 0], scores[:, 1:]
        if self.settings.match_loss == "hard":
            together = scores + said
            rank = ranked_match(together[:, 0], together[:, 1:])
            return {"match": binary_match(right, wrong.mean(dim=1)), "rank": rank}
        coin = (torch.rand(len(scores), generator=generator) < 0.5).to(right.device)
        return {"match": binary_match(right, torch.where(coin, wrong[:, 0], wrong[:, 1]))}

    def _batch(self, number: int) -> tuple[CaptionBatch, ImageBatch | None]:
        """Returns a batch and the pictures of this process's share; a thread prepares the next ones meanwhile."""
        batch = self._ahead[1].result() if self._ahead and self._ahead[0] == number else self._drawn(number)
        following = number + 1
        self._ahead = None if self._mines_at(following) else (following, self._thread.submit(self._drawn, following))
        return batch

    def _drawn(self, number: int) -> tuple[CaptionBatch, ImageBatch | None]:
        batch = self.source(number, self.mined)
        if self._kept is not None:
            return batch, None
        return batch, self._opened(batch.rows[self.devices.share(len(batch.rows))])

    def _opened(self, rows: Int[Tensor, " rows"]) -> ImageBatch:
        return open_pictures(self.model, [self.source.images[row] for row in rows.tolist()])

    def _mines_at(self, number: int) -> bool:
        """Whether negatives are mined before this batch: at the start and every `mine` epochs, also in a
        resumed run."""
        return bool(self.settings.mine) and number % (self.settings.mine * self.source.batches_an_epoch) == 0

    @torch.no_grad()
    def _mine(self) -> None:
        """Mines wrong pictures for all captions with the current twin encoder."""
        self.eval()
        texts, images = [caption.caption for caption in self.source.captions], len(self.source.images)
        self._tell_mining(0)
        vectors = []
        for rows in torch.arange(images).split(PICTURES):
            with self.devices.autocast():
                vectors.append(self.model.embed(self._images(rows, None if self._kept else self._opened(rows))))
            self._tell_mining(int(rows[-1]) + 1)
        of_images = torch.cat(vectors)
        found = []
        for start in range(0, len(texts), TEXTS):
            with self.devices.autocast():
                some = texts[start : start + TEXTS]
                if self._kept_texts is None:
                    read = self.model.read_text(self.model.tokenize(some))
                else:
                    read = self._kept_texts.states(torch.arange(start, start + len(some)))
                of_texts = self.model.embed(read)
            found.append(nearest_wrong(of_texts, of_images, self.source.fits[start : start + TEXTS]))
            self._tell_mining(images + min(start + TEXTS, len(texts)))
        self.mined = self.devices.same(torch.cat(found))
        self.train()

    def _tell_mining(self, done: int) -> None:
        if self._report and self.devices.first:
            self._report("mining", done, len(self.source.images) + len(self.source.captions), {})


def _without(states: TokenStates, share: float) -> TokenStates:
    """Masks a share of the tokens, except the first of each row."""
    if not share:
        return states
    kept = states.mask & (torch.rand(states.mask.shape, device=states.mask.device) >= share)
    kept[:, 0] = states.mask[:, 0]
    return replace(states, mask=kept)
