"""Trains the second edition of the bundled model from free material, in six stages.

1. `texts`: the text side learns the sentence vectors of multilingual-e5-small, in fifteen languages at once.
2. `pictures`, `shapes`: the picture side learns the graphs of 30,000 scenes, and what emoji of six artists and clip art
   are called, beside what EfficientNet-Lite0 sees in them.
3. `joint`: the states of all pictures are computed once and frozen; texts and joint layers learn to embed, match and
   answer from them.
4. `tasks`: all of this is frozen; an adapter and a head for each task are trained further.
5. `answers`: those of answers are trained still further. Then matches are calibrated.

Each stage resumes from its own checkpoint in the output folder.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor

from experiments.bundled_model import lessons as taught
from experiments.bundled_model.answer_stage import AnswerLosses
from experiments.bundled_model.joint_batches import ALL_ANSWERS, Counts, Drawing, JointSource, emoji_drawings
from experiments.bundled_model.joint_stage import JointLosses, Named
from experiments.bundled_model.lessons import Lesson
from experiments.bundled_model.measuring import measure
from experiments.bundled_model.photographs import Photographs
from experiments.bundled_model.picture_stage import PictureLosses, PictureSet, set_of
from experiments.bundled_model.pictures import Seen, Variant, all_variants, drawn_variants, seen_in
from experiments.bundled_model.space import Space, centred, class_vectors
from experiments.bundled_model.teacher import NAME as TEACHER
from experiments.bundled_model.teacher import sentence_vectors
from experiments.bundled_model.text_stage import TextLosses, encoded
from experiments.bundled_model.vocabulary import SPECIAL, begun_from, lower_cased, most_used, read_pieces, unigram
from experiments.bundled_model.words import LANGUAGES, fetch_words, frequencies
from experiments.fetched import cache_root
from experiments.pictures.flags import Flag, read_flags
from experiments.pictures.folders import pictures_folder
from experiments.pretraining.drawn_pictures import draw_scenes
from experiments.pretraining.picture_stage import scene_targets
from experiments.weights.folders import weights_folder
from polyglance import atomic
from polyglance.adapters.config import AdapterConfig
from polyglance.data.captions import of_split, read_captions
from polyglance.data.gallery import gallery
from polyglance.data.tokenization import Tokenizer
from polyglance.kernels.processor import native_autocast
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.nn.class_mixture import ClassifierEyes
from polyglance.nn.efficientnet import SCALES, EfficientNetLite
from polyglance.scenes.sampling import sample_scene
from polyglance.scenes.truth import SceneIndex
from polyglance.training.devices import fastest_device
from polyglance.training.loop import Losses, Schedule, fit
from polyglance.training.seeds import check_seed
from polyglance.types import Progress, StageProgress

NAME: Final = "polyglance-mini"
EYES: Final = "efficientnet-lite0"
STAGES: Final = ("texts", "pictures", "shapes", "joint", "tasks", "answers")
FOUR_BITS: Final = ("token_embedding.weight", "eyes.network.classifier.weight")
"""The weights that are stored in four bits; the others take eight."""
TASK_ADAPTERS: Final = AdapterConfig(reduction_factor=4)
_WHOLE: Final = 10.0
"""The weight of the classifier's vector that is added to a picture's in the end. The vectors of photographs are half as
long as those of drawings before they become unit vectors, so photographs gain most. Chosen on validation pictures."""
_COSINE: Final = 40.0
"""The weight of the cosine in a match. Chosen on validation pictures of all kinds."""


@dataclass(frozen=True)
class Settings:
    """The size of a training; the defaults make the bundled model.

    seed: of all draws. vocabulary: the number of subwords. photo_captions, scene_lessons: the number of lessons made of
    phrases and of scenes; words: of each language, and as many mixtures of them. scenes: the number of training scenes.
    few: the number of pictures of each other origin; None for all. Each stage has its steps (`*_steps`) and its batch:
    texts: of the first; pictures: scenes, emoji and clip art of the second; counts: of the last ones. measured: scenes
    and searches for the calibration of matches.
    """

    seed: int = 0
    vocabulary: int = 40_000
    photo_captions: int = 30_000
    scene_lessons: int = 8_000
    words: int = 12_000
    scenes: int = 30_000
    few: int | None = None
    text_steps: int = 5_000
    texts: int = 512
    picture_steps: int = 4_000
    shape_steps: int = 800
    pictures: tuple[int, int, int] = (96, 128, 64)
    joint_steps: int = 2_600
    task_steps: int = 250
    answer_steps: int = 4_000
    counts: Counts = field(default_factory=Counts)
    measured: tuple[int, int] = (2000, 500)

    def __post_init__(self) -> None:
        check_seed(self.seed)


@dataclass(frozen=True)
class Teaching:
    """What the text side learns: lessons with their targets, the space of these, and the vectors of the classes."""

    lessons: Sequence[Lesson]
    targets: Float[Tensor, "lessons width"]
    space: Space
    classes: Float[Tensor, "classes state_width"]


@dataclass(frozen=True)
class World:
    """All training pictures: scenes, and variants of other pictures."""

    scenes: PictureSet
    variants: Sequence[Variant]
    pixels: Tensor
    seen: Seen


def train(settings: Settings, folder: Path, report: StageProgress | None = None) -> SingleStreamModel:
    """Trains the model, resuming any run in the folder. Returns it as it is before it is packed.

    report: called with the progress of each stage.

    Raises ConfigurationError if weights or pictures were not fetched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    model = untrained(settings, folder).to(fastest_device())
    teaching = teach(settings, folder, model, report)
    with torch.no_grad():
        model.eyes.class_vectors.copy_(teaching.classes)
        model.whole_head.weight.copy_(first_directions(model))
    texts = TextLosses(model, teaching.lessons, teaching.targets, settings.texts, settings.seed)
    fit("texts", texts.trained, texts, Schedule(settings.text_steps, 2e-3), folder, report)

    world = see_world(settings, folder, model, report)
    drawings = Drawings.named(teaching, settings.few)
    train_pictures(model, settings, world, drawings, folder, report)
    hidden = kept_states(model, world, folder / "states.safetensors")
    model = train_together(model, settings, teaching, texts, world, drawings, hidden, folder, report)
    with torch.no_grad():
        model.whole_head.weight += _WHOLE * first_directions(model)
    model.config = replace(model.config, cosine_weight=_COSINE)
    measure(model.eval().cpu(), *settings.measured)
    return model


def first_directions(model: SingleStreamModel) -> Float[Tensor, "width state_width"]:
    """Returns the projection that makes a unit vector of the classifier's vector, without turning it."""
    width = model.config.state_width
    return torch.eye(model.config.embedding_dim, width, device=model.device) / width**0.5


# -- the text side -----------------------------------------------------------------------------------------------------


def untrained(settings: Settings, folder: Path) -> SingleStreamModel:
    """Returns the model with the classifier's weights, and with the teacher's embeddings in fewer directions."""
    of_teacher = weights_folder(TEACHER)
    merged = lower_cased(read_pieces(of_teacher / "tokenizer.json"))
    path = folder / "tokenizer.json"
    if not path.exists():
        scores = {piece: score for piece, (score, _) in merged.items()}
        atomic.write_text(path, unigram(most_used(scores, _usage(), settings.vocabulary)))
    tokenizer = Tokenizer.load(path)
    config = SingleStreamConfig(
        vocabulary=tokenizer.vocabulary,
        answers=ALL_ANSWERS,
        languages=DEMO_LANGUAGES,
        layers=7,
        first_joint_layer=2,
        eyes=f"tf_{EYES.replace('-', '_')}",
    )
    model = SingleStreamModel(config, tokenizer, NAME)
    (embeddings,) = (
        value.float() for name, value in load_file(of_teacher / "model.safetensors").items() if "word_embed" in name
    )
    pieces = [piece for piece, _ in json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"][len(SPECIAL) :]]
    begun = begun_from(embeddings, [merged[piece][1] for piece in pieces], config.width)
    with torch.no_grad():
        model.token_embedding.weight[len(SPECIAL) :] = 0.06 * begun / begun.std()
    load_eyes(model.eyes)
    return model


def load_eyes(eyes: ClassifierEyes) -> None:
    """Loads the published weights of the classifier, with each norm in the convolution before it."""
    published = EfficientNetLite(*SCALES[f"tf_{EYES.replace('-', '_')}"])
    published.load_state_dict(load_file(weights_folder(EYES) / "model.safetensors"))
    published.eval().fold_norms()
    eyes.network.load_state_dict(published.state_dict())


def _usage() -> Iterator[tuple[str, float]]:
    """Yields texts with their weights: words of all languages, and the names that are not held out."""
    wheel = _words()
    for language in LANGUAGES:
        shares = {word: share**0.75 for word, share in frequencies(wheel, language, 50_000).items()}
        total = sum(shares.values())
        yield from ((word, share / total) for word, share in shares.items())
    for lesson in taught.name_lessons():
        yield from ((name, 3e-5) for name in lesson.texts)


def _words() -> Path:
    return fetch_words(cache_root() / "words")


def _class_names() -> list[str]:
    names: list[str] = json.loads((weights_folder(EYES) / "config.json").read_text(encoding="utf-8"))["label_names"]
    return names


def teach(settings: Settings, folder: Path, model: SingleStreamModel, report: StageProgress | None) -> Teaching:
    """Makes all lessons and computes their targets."""
    kept, names, words = folder / "vectors", _class_names(), _words()
    kept.mkdir(exist_ok=True)

    def labelled(stage: str, found: Iterable[Lesson]) -> tuple[list[Lesson], Tensor]:
        lessons = list(found)
        told = (lambda done, total: report(f"read {stage}", done, total, {})) if report else None
        return lessons, sentence_vectors([lesson.taught for lesson in lessons], kept, told)

    of_photos = labelled("photo captions", taught.photo_lessons(settings.photo_captions, settings.seed))
    of_classes = labelled("classes", taught.class_lessons(names))
    of_names = labelled("names", taught.name_lessons())
    groups = [of_photos, of_classes, of_names]
    groups.append(labelled("clip art", taught.clip_art_lessons(pictures_folder("openclipart"))))
    groups.append(labelled("flags", taught.flag_lessons(read_flags(pictures_folder("flags")))))
    groups.append(labelled("scenes", taught.scene_lessons(settings.scene_lessons, settings.seed)))
    topics = torch.cat([centred(*of_photos)[:3000], centred(*of_classes), centred(*of_names)])
    for language in LANGUAGES:
        of_words = labelled(f"words {language}", taught.word_lessons(words, language, settings.words))
        spoken, vectors = [lesson.taught for lesson in of_words[0]], centred(*of_words)
        mixed = taught.mixed_lessons(words, language, spoken, vectors, topics, settings.words, settings.seed)
        groups += [of_words, labelled(f"mixtures {language}", mixed)]
    lessons = [lesson for group, _ in groups for lesson in group]
    vectors = centred(lessons, torch.cat([vectors for _, vectors in groups]))
    of_pictures = torch.tensor([lesson.kind in ("photos", "names") for lesson in lessons])
    path = folder / "space.safetensors"
    if not path.exists():
        Space.of(vectors[of_pictures], model.config.embedding_dim).save(path)
    space = Space.load(path)  # the same directions for a run that goes on, whatever computes them there
    named = sentence_vectors([f"A photo of a {name.split(',')[0]}." for name in names], kept)
    described = sentence_vectors(taught.class_captions(names), kept)
    classes = class_vectors(space, named, described, model.config.state_width)
    return Teaching(lessons, space(vectors), space, classes)


# -- the picture side --------------------------------------------------------------------------------------------------


def see_world(settings: Settings, folder: Path, model: SingleStreamModel, report: StageProgress | None) -> World:
    """Draws all pictures, and reads them with the classifier."""

    def told(stage: str) -> Progress | None:
        return (lambda done, total: report(stage, done, total, {})) if report else None

    scenes = draw_scenes(range(settings.scenes), folder / "scenes.npy", told("draw scenes"))
    variants = all_variants(settings.few)
    pixels = drawn_variants(variants, folder / "variants.npy", told("draw variants"))
    seen_scenes = seen_in(scenes, model.eyes, folder / "scenes", told("see scenes"))
    seen = seen_in(pixels, model.eyes, folder / "variants", told("see variants"))
    device = model.device  # a fast one has the memory for all pictures, 20 GB
    in_rows = PictureSet(scenes.to(device), seen_scenes.to(device), torch.arange(len(scenes)))
    return World(in_rows, variants, pixels.to(device), seen.to(device))


@dataclass(frozen=True)
class Drawings:
    """What drawings are called: emoji, clip art and flags.

    clip_art: what each piece may be called, its title first. flags: with their names. names: the targets of all emoji's
    names, then of the titles, then of the flags' names.
    """

    clip_art: Sequence[Sequence[str]]
    flags: Sequence[Flag]
    names: Float[Tensor, "names width"]

    @classmethod
    def named(cls, teaching: Teaching, few: int | None) -> "Drawings":
        """Returns the first `few` pieces of clip art of the training split, and as many flags; None for all."""
        folder = pictures_folder("openclipart")
        keywords = {
            one.image: [word.strip() for word in one.caption.split(",")]
            for one in read_captions(folder / "keywords.jsonl")
        }
        clip_art = [
            [caption.caption] * 3 + keywords.get(caption.image, [])[:6]
            for caption in of_split(read_captions(folder / "captions.jsonl"), "train")[:few]
        ]
        flags = read_flags(pictures_folder("flags"))[:few]
        emoji = [
            next(name for code, name in entry.names.items() if not entry.name_is_held_out(code)) for entry in gallery()
        ]
        row = {lesson.taught: number for number, lesson in enumerate(teaching.lessons) if lesson.kind == "names"}
        called = (*emoji, *(texts[0] for texts in clip_art), *(flag.names["en"] for flag in flags))
        return cls(clip_art, flags, teaching.targets[[row[name] for name in called]])


def names_of(variants: Sequence[Variant]) -> Int[Tensor, " variants"]:
    """Returns for each variant of a drawing the row of its name among all names; of photographs it means nothing."""
    first_title = len(gallery())
    first_flag = first_title + len({one.of for one in variants if one.origin == "openclipart"})
    first = {"openclipart": first_title, "flags": first_flag}
    return torch.tensor([one.of + first.get(one.origin, 0) for one in variants])


def train_pictures(
    model: SingleStreamModel,
    settings: Settings,
    world: World,
    drawings: Drawings,
    folder: Path,
    report: StageProgress | None,
) -> None:
    """Runs the second stage, in place."""
    torch.manual_seed(settings.seed)
    losses = PictureLosses(
        model,
        world.scenes,
        scene_targets([sample_scene(seed) for seed in range(settings.scenes)]),
        set_of(("noto", "artists"), world.variants, world.pixels, world.seen),
        set_of(("openclipart", "flags"), world.variants, world.pixels, world.seen),
        names_of(world.variants),
        drawings.names,
        settings.pictures,
        settings.seed,
    )
    trained = losses.trained
    fit("pictures", trained, losses, Schedule(settings.picture_steps, 1.5e-3), folder, report)
    later = Schedule(settings.shape_steps, 1e-3, warmup=20)
    fit("shapes", trained, lambda step: losses(settings.picture_steps + step, 4.0), later, folder, report)
    model.eval()


def kept_states(model: SingleStreamModel, world: World, path: Path) -> Float[Tensor, "pictures states state_width"]:
    """Returns the kept states of the scenes, then of the variants, in bfloat16; from the file if it exists."""
    if not path.exists():
        parts = []
        with native_autocast(model.device), torch.inference_mode():
            for pixels, seen in ((world.scenes.pixels, world.scenes.seen), (world.pixels, world.seen)):
                for rows in torch.arange(len(pixels)).split(100):
                    tokens = model.see_beside(pixels[rows], seen.grid[rows].float(), seen.whole[rows].float())
                    parts.append(model.compress(tokens).hidden.bfloat16().cpu())
        with atomic.whole(path) as draft:
            save_file({"hidden": torch.cat(parts)}, draft)
    return load_file(path)["hidden"]


# -- both together -----------------------------------------------------------------------------------------------------


def train_together(
    model: SingleStreamModel,
    settings: Settings,
    teaching: Teaching,
    texts: TextLosses,
    world: World,
    drawings: Drawings,
    hidden: Float[Tensor, "pictures states state_width"],
    folder: Path,
    report: StageProgress | None,
) -> SingleStreamModel:
    """Runs the stages that begin from kept states. Returns the model with adapters for its tasks."""
    source = joint_source(settings, model, world, drawings, texts)
    about_photographs = [row for row, lesson in enumerate(teaching.lessons) if lesson.kind in ("photos", "names")]
    photographs = Photographs(
        states=hidden[torch.tensor(_rows(world.variants, "photographs")) + settings.scenes],
        classes=teaching.classes,
        lessons=torch.tensor(about_photographs),
        targets=teaching.targets,
    )
    named = named_drawings(settings, world, drawings.names)
    spoken = [lesson.taught for lesson in teaching.lessons]
    torch.manual_seed(settings.seed)  # what was read from files instead of made has drawn no numbers
    losses = JointLosses(model, source, hidden, named, photographs, spoken)
    schedule = Schedule(settings.joint_steps, 1.5e-3, warmup=min(150, settings.joint_steps // 4))
    fit("joint", losses.trained, losses, schedule, folder, report)
    losses.keep_temperature()
    torch.manual_seed(settings.seed)
    model = with_task_adapters(model)
    losses = JointLosses(model, source, hidden, named, photographs, spoken, tasks_alone=True)
    later = partial(_later, losses, settings.joint_steps)
    fit("tasks", losses.trained, later, Schedule(settings.task_steps, 1e-3), folder, report)
    losses.keep_temperature()
    answers = AnswerLosses(model, source, hidden)
    fit("answers", answers.trained, answers, Schedule(settings.answer_steps, 1e-3), folder, report)
    return model


def joint_source(
    settings: Settings, model: SingleStreamModel, world: World, drawings: Drawings, texts: TextLosses
) -> JointSource:
    """Returns what draws the texts of the last stages."""
    rows: dict[int, list[int]] = defaultdict(list)
    for row, name in enumerate(names_of(world.variants).tolist()):
        if world.variants[row].origin in ("openclipart", "flags"):
            rows[name].append(row)
    first_title = len(gallery())
    first_flag = first_title + len(drawings.clip_art)
    flown = [
        Drawing(
            {code: [name, taught.flag_of(name)] if code == "en" else [name] for code, name in flag.names.items()},
            first_flag + number,
            rows[first_flag + number],
            None,
        )
        for number, flag in enumerate(drawings.flags)
    ]
    return JointSource(
        index=SceneIndex([sample_scene(seed) for seed in range(settings.scenes)]),
        emoji=emoji_drawings(gallery(), world.variants) + flown,
        clip_art=[
            Drawing({"en": said}, first_title + number, rows[first_title + number], None)
            for number, said in enumerate(drawings.clip_art)
        ],
        likeness=drawings.names @ drawings.names.T,
        strangers=range(len(world.variants)),
        draw_lessons=partial(texts.drawn, taught=0.3),
        languages=DEMO_LANGUAGES,
        encode=partial(encoded, model),
        counts=settings.counts,
        seed=settings.seed,
    )


def named_drawings(settings: Settings, world: World, names: Float[Tensor, "names width"]) -> Named:
    """Returns all variants that have a name."""
    rows = torch.tensor([row for row, variant in enumerate(world.variants) if variant.of >= 0])
    return Named(rows + settings.scenes, names, names_of(world.variants)[rows])


def with_task_adapters(model: SingleStreamModel) -> SingleStreamModel:
    """Returns the model with new adapters for its tasks, which hardly change it."""
    config = replace(model.config, task_adapters=TASK_ADAPTERS)
    adapted = SingleStreamModel(config, model.tokenizer, model.name).train(model.training).to(model.device)
    missing, _ = adapted.load_state_dict(model.state_dict(), strict=False)
    assert all(name.startswith("task_adapters") for name in missing)
    return adapted


def _later(losses: JointLosses, steps: int, step: int) -> Losses:
    """The losses of a step that comes after so many others, with texts and pictures of its own."""
    return losses(steps + step)


def _rows(variants: Sequence[Variant], origin: str) -> list[int]:
    return [row for row, variant in enumerate(variants) if variant.origin == origin]
