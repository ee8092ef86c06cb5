"""Trains the bundled model `scenes-mini` from scratch, in five stages.

1. `pictures`: the picture layers learn the scene graphs of 30,000 scenes, and to tell the gallery's pictures apart.
2. `shapes`: the same with shapes weighted fourfold; with eight colours each, they are learned slowest.
3. `texts`: the text layers learn the meaning of texts in all languages: the facts of a text, the emoji of a name.
4. `words`: the states of all pictures are computed once and frozen; the text and joint layers learn to embed, match and
   answer from them.
5. `tasks`: all of this is frozen; an adapter and a head for each task are trained further.

Each stage resumes from its own checkpoint in the output folder.
"""

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance import atomic
from polyglance.adapters.config import AdapterConfig
from polyglance.data.gallery import gallery
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import ConfigurationError
from polyglance.kernels.processor import native_autocast
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models.checkpoint import save_model
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.models.protocol import ImageBatch
from polyglance.nn.layer import EncoderLayer
from polyglance.nn.states import TokenStates
from polyglance.pretraining.drawn_pictures import draw_scenes, gallery_pixels
from polyglance.pretraining.joint_batches import WordSource
from polyglance.pretraining.joint_stages import WordLosses
from polyglance.pretraining.picture_stage import SceneGraphHead, scene_targets
from polyglance.pretraining.text_stage import MeaningHead, known_facts, sample_meaning
from polyglance.scenes.captions import sample_caption
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import ANSWERS, sample_question
from polyglance.scenes.sampling import sample_scene
from polyglance.scenes.truth import SceneIndex
from polyglance.training.curves import try_plot_losses
from polyglance.training.loop import Losses, Schedule, fit
from polyglance.training.seeds import check_seed, generator_of
from polyglance.types import StageProgress

TASK_ADAPTERS = AdapterConfig(reduction_factor=4)
"""A bottleneck of 48 in each joint layer: 0.1 million weights per task."""


@dataclass(frozen=True)
class ScenesMiniSettings:
    """The size of a training; the defaults make the bundled model.

    seed: of all draws. scenes: the number of training pictures. gallery: the number of
    gallery pictures that are used; None for all. vocabulary: the number of subwords. Each stage has its
    steps (`*_steps`) and its batch: picture_batch, gallery_batch: pictures per step of the first two stages; texts,
    text_names: of the third; captions, names, questions: of the last two. device: where to train.

    Raises ConfigurationError if the seed is out of range.
    """

    seed: int = 0
    scenes: int = 30_000
    gallery: int | None = None
    vocabulary: int = 6000
    picture_steps: int = 1500
    shape_steps: int = 900
    picture_batch: int = 128
    gallery_batch: int = 48
    text_steps: int = 1200
    texts: int = 384
    text_names: int = 96
    word_steps: int = 6500
    task_steps: int = 1000
    captions: int = 96
    names: int = 40
    questions: int = 144
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_seed(self.seed)


def train_scenes_mini(
    settings: ScenesMiniSettings,
    folder: Path,
    report: StageProgress | None = None,
    start: SingleStreamModel | None = None,
    tasks_alone: bool = False,
) -> SingleStreamModel:
    """Trains the model, resuming any run in the folder.

    The model is written to `folder/model`, the losses to `STAGE.jsonl` and `losses.png`.

    folder: of the run. report: called with the progress of each stage. start: a model to continue from; only the last
    two stages are run then. Missing joint layers are added above its own, as the identity (Net2Net, arXiv:1511.05641).
    tasks_alone: runs only the last stage.

    Raises ConfigurationError if the folder holds a run with another start, or `tasks_alone` is given without a `start`.
    """
    if tasks_alone and not start:
        raise ConfigurationError("expected a model to train the tasks' adapters in: name one with --from")
    folder.mkdir(parents=True, exist_ok=True)
    _check_beginning(folder / "begun_from.txt", start.fingerprint if start else "nothing")
    tokenizer = start.tokenizer if start else _tokenizer(settings, folder / "tokenizer.json")
    torch.manual_seed(settings.seed)
    config = SingleStreamConfig(
        vocabulary=tokenizer.vocabulary, answers=ANSWERS, languages=DEMO_LANGUAGES, layers=7, first_joint_layer=2
    )
    if start and start.config.layers == config.layers:
        config = replace(config, task_adapters=start.config.task_adapters, temperature=start.config.temperature)
    model = SingleStreamModel(config, tokenizer, "scenes-mini").to(settings.device)
    if start:
        go_on_from(start, model)
    pictures = draw_scenes(
        range(settings.scenes),
        folder / "pictures.npy",
        (lambda done, total: report("draw", done, total, {})) if report else None,
    )
    entries = gallery()[: settings.gallery]
    faces = gallery_pixels(model.preprocess, entries)
    if not start:
        _train_pictures(model, pictures, faces, settings, folder, report)
    kept_pictures, kept_faces = _kept_states(model, pictures, faces, folder / "states.safetensors")
    source = WordSource(
        index=SceneIndex([sample_scene(seed) for seed in range(settings.scenes)]),
        gallery=entries,
        languages=config.languages,
        encode=model.tokenize,
        seed=settings.seed,
        captions=settings.captions,
        names=settings.names,
        questions=settings.questions,
    )
    if not start:
        train_texts(model, source, settings, folder, report)
    if not tasks_alone:
        losses = WordLosses(model, source, kept_pictures, kept_faces)
        schedule = Schedule(settings.word_steps, 1.2e-3, warmup=min(150, settings.word_steps // 4))
        fit("words", losses.trained, losses, schedule, folder, report)
        losses.keep_temperature()
    model = with_task_adapters(model)
    losses = WordLosses(model, source, kept_pictures, kept_faces, tasks_alone=True)
    fit("tasks", losses.trained, losses, Schedule(settings.task_steps, 1e-3), folder, report)
    losses.keep_temperature()
    save_model(model.eval(), folder / "model")
    stages = ("pictures", "shapes", "texts", "words", "tasks")
    try_plot_losses(folder, stages[4 if tasks_alone else 3 if start else 0 :])
    return model


def with_task_adapters(model: SingleStreamModel) -> SingleStreamModel:
    """Returns the model with new adapters for its tasks, which hardly change it; the model itself if it has
    adapters."""
    if model.task_adapters is not None:
        return model
    config = replace(model.config, task_adapters=TASK_ADAPTERS)
    adapted = SingleStreamModel(config, model.tokenizer, model.name).to(model.device).train(model.training)
    adapted.load_state_dict(model.state_dict(), strict=False)
    return adapted


def _check_beginning(path: Path, beginning: str) -> None:
    """Raises ConfigurationError if a folder holds states and checkpoints of a run with another start."""
    if path.exists() and (before := path.read_text()) != beginning:
        raise ConfigurationError(
            f"expected a run from {beginning} or none in {path.parent}, but it holds one from {before}: "
            "name another folder with --output"
        )
    atomic.write_text(path, beginning)


def go_on_from(start: SingleStreamModel, model: SingleStreamModel) -> None:
    """Copies the weights of `start` into `model`; joint layers that `start` lacks become the identity."""
    model.load_state_dict(start.float().state_dict(), strict=False)
    for layer in model.joint_layers.layers[len(start.joint_layers.layers) :]:
        cast("EncoderLayer", layer).become_identity()


def _tokenizer(settings: ScenesMiniSettings, path: Path) -> Tokenizer:
    """Loads the tokenizer, or trains it on captions and questions of 10,000 scenes per language and the names not held
    out."""
    if not path.exists():
        rng = random.Random(f"tokenizer {settings.seed}")
        texts = []
        for code in DEMO_LANGUAGES:
            for seed in range(min(settings.scenes, 10_000)):
                scene = sample_scene(seed)
                texts += [
                    grammar(code).caption(sample_caption(scene, rng)),
                    grammar(code).say(sample_question(scene, rng)[0]),
                ]
            texts += 4 * [entry.names[code] for entry in gallery() if not entry.name_is_held_out(code)]
        Tokenizer.train(texts, settings.vocabulary).save(path)
    return Tokenizer.load(path)


# -- the picture side --------------------------------------------------------------------------------------------------


def _kept_states(
    model: SingleStreamModel, pictures: Tensor, faces: Tensor, path: Path
) -> tuple[TokenStates, TokenStates]:
    """Returns the kept states of the training scenes and of the gallery, from the file if it exists."""
    if not path.exists():
        hidden = {"scenes": _read(model, pictures), "gallery": _read(model, faces)}
        with atomic.whole(path) as draft:
            save_file(hidden, draft)
    tensors = load_file(path, device=str(model.device))
    return _as_states(tensors["scenes"]), _as_states(tensors["gallery"])


def _read(model: SingleStreamModel, pixels: Tensor) -> Tensor:
    """Computes the kept states in bfloat16, which rounds more coarsely than a library's 8 bits with scales."""
    model.eval()
    parts = pixels.split(250)
    with native_autocast(model.device):
        return torch.cat(
            [model.read_images(ImageBatch(part.to(model.device))).hidden.to("cpu", torch.bfloat16) for part in parts]
        )


def _as_states(hidden: Tensor) -> TokenStates:
    return TokenStates(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device), "image")


def _train_pictures(
    model: SingleStreamModel,
    pictures: Tensor,
    faces: Tensor,
    settings: ScenesMiniSettings,
    folder: Path,
    report: StageProgress | None,
) -> None:
    """Runs the first two stages, in place."""
    classes, places = scene_targets([sample_scene(seed) for seed in range(settings.scenes)])
    head = SceneGraphHead(model.config.state_width, len(faces)).to(model.device)
    trained = nn.ModuleDict(
        {"stem": model.stem, "layers": model.image_layers, "compressor": model.compressor, "head": head}
    )
    trained.register_parameter("position", model.image_position)

    def losses(step: int, shape_weight: float) -> Losses:
        generator = generator_of(settings.seed, step)
        rows = torch.randint(settings.scenes, (settings.picture_batch,), generator=generator)
        emoji = torch.randint(len(faces), (settings.gallery_batch,), generator=generator)
        pixels = torch.cat([pictures[rows], _jitter(faces[emoji], generator)]).to(model.device)
        with native_autocast(model.device):
            states = model.read_images(ImageBatch(pixels.contiguous(memory_format=torch.channels_last)))
        targets = classes[rows].to(model.device), places[rows].to(model.device)
        terms = head.losses(states[: len(rows)], *targets, shape_weight)
        return {**terms, "emoji": head.emoji_loss(states[len(rows) :], emoji.to(model.device))}

    model.train()
    fit("pictures", trained, lambda step: losses(step, 1), Schedule(settings.picture_steps, 1.5e-3), folder, report)
    later = Schedule(settings.shape_steps, 1e-3, warmup=20)
    fit("shapes", trained, lambda step: losses(settings.picture_steps + step, 4), later, folder, report)
    model.eval()


# -- the text side -----------------------------------------------------------------------------------------------------


def train_texts(
    model: SingleStreamModel,
    source: WordSource,
    settings: ScenesMiniSettings,
    folder: Path,
    report: StageProgress | None,
) -> None:
    """Runs the third stage, in place."""
    head = MeaningHead(model.config.width, known_facts(source.scenes, settings.seed), len(source.gallery))
    head.to(model.device)
    trained = nn.ModuleDict(
        {"tokens": model.token_embedding, "positions": model.text_position, "layers": model.text_layers, "head": head}
    )

    def losses(step: int) -> Losses:
        rng = random.Random(f"texts {settings.seed} {step}")
        meanings = [sample_meaning(rng.choice(source.scenes), rng) for _ in range(settings.texts)]
        said = [source.say(meaning, rng) for meaning in meanings]
        emoji = rng.sample(range(len(source.gallery)), settings.text_names)
        names = [source.name(row, rng) for row in emoji]
        with native_autocast(model.device):
            texts, named = model.read_text(model.tokenize(said)), model.read_text(model.tokenize(names))
        return {
            "facts": head.fact_loss(texts, head.targets(meanings).to(model.device)),
            "names": head.emoji_loss(named, torch.tensor(emoji, device=model.device)),
        }

    model.train()
    fit("texts", trained, losses, Schedule(settings.text_steps, 2e-3), folder, report)
    model.eval()


def _jitter(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Scales down and moves half of the pictures, on white."""
    count = len(pixels)
    scale = 1 + torch.rand(count, generator=generator) * (torch.rand(count, generator=generator) < 0.5)
    room = 1 - 1 / scale
    move = (torch.rand(count, 2, generator=generator) * 2 - 1) * room[:, None]
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = move * scale[:, None]
    grid = F.affine_grid(theta, [count, 1, *pixels.shape[2:]], align_corners=False)
    moved = F.grid_sample(255 - pixels.float(), grid, align_corners=False)
    return (255 - moved).round().to(torch.uint8)
