"""The two bodies: one trained on pictures and English, and one trained on eight languages without pictures."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from experiments.pretraining.drawn_pictures import draw_scenes, gallery_pixels
from experiments.pretraining.joint_batches import WordSource
from experiments.pretraining.joint_stages import WordLosses
from experiments.pretraining.text_stage import sample_meaning, train_texts
from experiments.scenes import read_scenes
from experiments.xgqa.corpora import (
    NINTH,
    SOURCE_LANGUAGE,
    Split,
    measured_scenes,
    measured_sentences,
    normalised,
    real_text,
    require_unmeasured,
    say,
)
from experiments.xgqa.settings import Settings
from polyglance import atomic
from polyglance.data.gallery import GalleryEntry, gallery
from polyglance.data.tokenization import Tokenizer
from polyglance.kernels.processor import native_autocast
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models import load_model
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.nn.states import TokenStates
from polyglance.scenes.captions import sample_caption
from polyglance.scenes.sampling import Scene, sample_scene
from polyglance.scenes.truth import SceneIndex
from polyglance.training.languages.trainer import mask_tokens
from polyglance.training.loop import Losses, Schedule, fit
from polyglance.training.seeds import generator_of
from polyglance.types import Progress, StageProgress

ENGLISH, MULTILINGUAL = "english", "multilingual"
TEXT_PARTS = ("token_embedding", "text_position", "text_layers", "expand_text", "joint_layers", "token_head")
FIRST_SENTENCE = 100_000
"""The first training scene that sentences describe. The scenes of each language are different, so that nothing is
parallel."""


@dataclass(frozen=True)
class World:
    """What the bodies have in common. The lower layers of the bundled model read the pictures; they were trained on
    scene graphs and on names of drawings, and the state of the whole picture is made of vectors of class names.

    split: the pictures that models are measured on; everything is chosen on those of `dev`.
    """

    settings: Settings
    folder: Path
    report: StageProgress
    seed: int
    split: Split

    @cached_property
    def scenes(self) -> list[Scene]:
        return [sample_scene(seed) for seed in range(self.settings.scenes)]

    @cached_property
    def gallery(self) -> list[GalleryEntry]:
        """The emoji whose English names bodies are trained on."""
        return [entry for entry in gallery() if not entry.name_is_held_out(SOURCE_LANGUAGE)][: self.settings.gallery]

    @cached_property
    def gallery_states(self) -> TokenStates:
        model = bundled()
        return model.read_images(ImageBatch(gallery_pixels(model.preprocess, self.gallery)))

    @cached_property
    def measured_scenes(self) -> list[Scene]:
        return measured_scenes(self.split, self.settings.pictures)

    @cached_property
    def states(self) -> TokenStates:
        """The states of the training pictures, in bfloat16."""
        path = self.folder / "states.safetensors"
        if not path.exists():
            pixels = draw_scenes(range(self.settings.scenes), self.folder / "pictures.npy", _told(self.report, "draw"))
            model = bundled()
            parts = [model.read_images(ImageBatch(part)).hidden for part in pixels.split(250)]
            with atomic.whole(path) as draft:
                save_file({"states": torch.cat(parts).bfloat16()}, draft)
        hidden = load_file(path)["states"]
        return TokenStates(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool), "image")

    @cached_property
    def measured_states(self) -> TokenStates:
        """The states of the pictures that models are measured on, as a library returns them."""
        return read_scenes(bundled(), self.measured_scenes)

    def sentences(self, code: str, questions: bool = False) -> list[str]:
        """Returns distinct sentences in one language, none of which models are measured with: captions of scenes and
        real text. They are drawn once.

        questions: whether half of the sentences about scenes are questions. They always are in English, the language
        of the task.
        """
        kind = code, questions or code == SOURCE_LANGUAGE
        if kind not in self._said:
            self._said[kind] = self._drawn(*kind)
        return self._said[kind]

    @cached_property
    def _said(self) -> dict[tuple[str, bool], list[str]]:
        return {}

    def _drawn(self, code: str, questions: bool) -> list[str]:
        sample = sample_meaning if questions else sample_caption
        rng = random.Random(f"sentences {code} {self.seed}")
        measured = measured_sentences(code, self.settings.pictures)
        said: dict[str, None] = {}
        first = FIRST_SENTENCE * (1 + (*DEMO_LANGUAGES, NINTH).index(code))
        for seed in range(first, first + FIRST_SENTENCE):
            if len(said) == self.settings.sentences:
                break
            sentence = say(code, sample(sample_scene(seed), rng))
            if normalised(sentence) not in measured:
                said[sentence] = None
        real = (text for text in real_text(code, self.settings.real) if normalised(text) not in measured)
        found = list(dict.fromkeys([*said, *real]))
        require_unmeasured(found, code, self.settings.pictures)
        return found


def bundled() -> SingleStreamModel:
    model = load_model()
    assert isinstance(model, SingleStreamModel)
    return model


def english_body(world: World) -> SingleStreamModel:
    """Trains the text and joint layers on English alone: on facts, pictures and masked words."""
    folder = world.folder / f"{ENGLISH}-{world.seed}"
    if not (folder / "config.json").exists():
        settings = world.settings
        tokenizer = _tokenizer(world, [SOURCE_LANGUAGE], settings.vocabulary)
        model = _untrained(tokenizer, (SOURCE_LANGUAGE,), world.seed)
        source = english_source(world, model.tokenize)
        folder.mkdir(parents=True, exist_ok=True)
        train_texts(model, source, settings.fact_steps, settings.texts, settings.names, folder, world.report)
        schedule = Schedule(settings.word_steps, 1.2e-3, warmup=min(150, settings.word_steps // 4))
        train_words(world, model, source, folder, schedule)
        save_model(model.eval(), folder)
    return load_folder(folder)


def train_words(
    world: World,
    model: SingleStreamModel,
    source: WordSource,
    folder: Path,
    schedule: Schedule,
    held: tuple[str, ...] = (),
) -> None:
    """Trains all layers except those of pictures on captions, questions and masked words in English.

    source: of the English texts. held: the names of further weights that are not trained.
    """
    words = WordLosses(model, source, world.states, world.gallery_states, held)
    tokens = TokensOf(model, world.sentences(SOURCE_LANGUAGE), world.seed, world.settings.captions)
    fit("words", words.trained, lambda step: {**words(step), **tokens(step)}, schedule, folder, world.report)
    words.keep_temperature()


def english_source(world: World, encode: Callable[[Sequence[str]], TextBatch]) -> WordSource:
    """Captions, names and questions in English."""
    settings = world.settings
    return WordSource(
        index=SceneIndex(world.scenes),
        gallery=world.gallery,
        languages=(SOURCE_LANGUAGE,),
        encode=encode,
        seed=world.seed,
        captions=settings.captions,
        names=settings.names,
        questions=settings.questions,
    )


def multilingual_body(world: World) -> SingleStreamModel:
    """Trains the text and joint layers to predict masked tokens in eight languages, without pictures. Languages are
    added to this body later."""
    folder = world.folder / f"{MULTILINGUAL}-{world.seed}"
    if not (folder / "config.json").exists():
        tokenizer = _tokenizer(world, DEMO_LANGUAGES, world.settings.shared_vocabulary)
        model = _untrained(tokenizer, (), world.seed)
        said = [sentence for code in DEMO_LANGUAGES for sentence in world.sentences(code)]
        tokens = TokensOf(model, said, world.seed, 128)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(TEXT_PARTS))
        folder.mkdir(parents=True, exist_ok=True)
        steps = world.settings.token_steps
        fit("tokens", model, tokens, Schedule(steps, 1.5e-3, warmup=min(200, steps // 4)), folder, world.report)
        save_model(model.eval(), folder)
    return load_folder(folder)


class TokensOf:
    """Masked-language modelling in a model's own subwords."""

    def __init__(self, model: SingleStreamModel, sentences: list[str], seed: int, batch: int) -> None:
        self.model, self.sentences, self.seed, self.batch = model, sentences, seed, batch

    def __call__(self, step: int) -> Losses:
        some = random.Random(f"tokens {self.seed} {step}").sample(self.sentences, min(self.batch, len(self.sentences)))
        batch = self.model.tokenize(some)
        generator = generator_of(self.seed, step)
        masked, places = mask_tokens(batch, self.model.tokenizer, generator)
        with native_autocast(self.model.device):
            logits = self.model.predict_tokens(masked, places)[None]
        return {"tokens": F.cross_entropy(logits.float(), batch.ids[places])}


def _untrained(tokenizer: Tokenizer, languages: Sequence[str], seed: int) -> SingleStreamModel:
    """Returns an untrained model with the bundled model's shape and picture layers."""
    pretrained = bundled().float()
    torch.manual_seed(seed)
    config = replace(
        pretrained.config,
        vocabulary=tokenizer.vocabulary,
        languages=tuple(languages),
        task_adapters=None,
        predicts_tokens=True,
        temperature=SingleStreamConfig.temperature,
        calibration=SingleStreamConfig.calibration,
        recall_by_depth=SingleStreamConfig.recall_by_depth,
        cosine_weight=SingleStreamConfig.cosine_weight,
    )
    model = SingleStreamModel(config, tokenizer, "untrained")
    there = pretrained.state_dict().items()
    model.load_state_dict({name: value for name, value in there if name.startswith(model.of_pictures)}, strict=False)
    return model.eval()


def _tokenizer(world: World, languages: Sequence[str], vocabulary: int) -> Tokenizer:
    names = [entry.names[code] for code in languages for entry in gallery() if not entry.name_is_held_out(code)]
    return Tokenizer.train([*(text for code in languages for text in world.sentences(code)), *names], vocabulary)


def _told(report: StageProgress, stage: str) -> Progress:
    return lambda done, total: report(stage, done, total, {})
