"""The ways to add a language to a body: the three of the paper, and ours."""

import random
import shutil
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from pathlib import Path

from experiments.pretraining.text_stage import sample_meaning
from experiments.results import Row
from experiments.xgqa.aligned import AlignedModel, aligned_model
from experiments.xgqa.asked import AnswerLosses, Asked, of_training_pictures
from experiments.xgqa.bodies import ENGLISH, FIRST_SENTENCE, MULTILINGUAL, World, english_body, multilingual_body
from experiments.xgqa.choosing import spread
from experiments.xgqa.corpora import (
    SOURCE_LANGUAGE,
    Meaning,
    is_measured,
    measured_sentences,
    normalised,
    require_unmeasured,
    say,
)
from experiments.xgqa.dictionary import dictionary, switched
from experiments.xgqa.published import E5, MINILM, OnBundledPictures, published_body, published_english_body
from experiments.xgqa.settings import Settings
from polyglance import atomic
from polyglance.data.corpora import Translation
from polyglance.kernels.processor import native_dtype
from polyglance.models.added_language import Language, LanguageFacts, load_facts, load_language, save_language
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.scenes.captions import sample_caption
from polyglance.scenes.sampling import sample_scene
from polyglance.training.languages.trainer import ADAPTER, FIRST_STAGE, LanguageSettings, frozen, train_language
from polyglance.training.loop import Schedule, fit

TRANSLATED = 50_000
"""The first training scene that translated sentences describe."""
CHOSEN_FROM = 10
"""The number of candidate sentences for each translated one, if these are chosen."""
FEW_SUBWORDS = 500
"""The number of subwords of a language whose words share parts: with more, each form of a word is its own subword."""


@dataclass(frozen=True)
class Way:
    """A way to add a language.

    adapter: whether there is an adapter beside the embeddings. translated: whether the language learns from
    translations. questions: whether half of its sentences and translations about scenes are questions. pictured:
    whether it learns from them beside pictures. switched: whether it also learns from English with some words
    translated. chosen: whether the translated sentences are those with the most different words. shared: whether the
    subwords are few, so that the forms of a word share them. parts: the number of parts through which the subwords
    learn (0: each alone). times: the multiple of the settings' steps over the translations. rate: the learning rate of
    these steps. asked: whether it learns only the answers to those translations that are questions. tokens: whether it
    learns to predict masked tokens first. body: the body that it is added to; the multilingual one has its own
    subwords.
    """

    name: str
    adapter: bool = True
    translated: bool = False
    questions: bool = False
    pictured: bool = False
    switched: bool = False
    chosen: bool = False
    shared: bool = False
    parts: int = 0
    times: float = 1
    rate: float = 2e-3
    asked: bool = False
    tokens: bool = True
    body: str = ENGLISH

    @property
    def learns(self) -> bool:
        """Whether a language is learned at all: a body that knows it may be asked as it is."""
        return self.body != E5 or self.adapter

    @property
    def matches(self) -> bool:
        """Whether the body was trained to match texts and pictures."""
        return self.body in (ENGLISH, MINILM)


ADAPTERS, ALIGNED = Way("adapters"), Way("multilingual", body=MULTILINGUAL)
PAPER = (
    *(Way("embeddings", adapter=False), ADAPTERS, ALIGNED),
    Way("embeddings on MiniLM", adapter=False, body=MINILM),
    Way("adapters on MiniLM", body=MINILM),
    Way("multilingual first", adapter=False, tokens=False, body=E5),
)
"""After OSCAR+Emb, OSCAR+Ada and mBERTAda in the paper, on bodies of the scene world and on published encoders.

They differ from the paper's. The adapters of *adapters* act only in the layers below the cut, while OSCAR+Ada has one
in every layer, and the task was trained without an adapter of English whose place they could take. The embeddings of a
language begin as the mean of the body's subwords that spell them. *multilingual first* has no adapters of languages,
because E5 knows them."""
OURS = (
    Way("translations", translated=True),
    Way("translations alone", translated=True, tokens=False),
    Way("translations beside pictures", translated=True, pictured=True),
    Way("code-switched", translated=True, switched=True),
    Way("translate-train with questions", questions=True, asked=True),
    Way("few subwords and longer", translated=True, shared=True, times=2.5),
    Way("higher rate", translated=True, times=2.5, rate=8e-3),
    Way("shared parts", translated=True, parts=500, times=2.5, rate=8e-3),
    Way("shared parts with questions", translated=True, questions=True, parts=500, times=2.5, rate=8e-3),
    Way("chosen translations", translated=True, chosen=True, shared=True),
    Way("few subwords and higher rate", translated=True, shared=True, times=2.5, rate=8e-3),
    Way("shared parts on MiniLM", translated=True, parts=500, times=2.5, rate=8e-3, body=MINILM),
    Way("multilingual first and translations", translated=True, tokens=False, body=E5),
)
WAYS = (*PAPER, *OURS)
CHOSEN: tuple[str, ...] = ()
"""The names of our ways that are measured on the test pictures, chosen by the rows of `dev` in docs/results/xgqa.json.
There are no such rows yet, and none was chosen."""


@dataclass(frozen=True)
class Bodies:
    """The bodies without added languages, in the processor's native precision. Each is made on first use."""

    world: World

    @cached_property
    def english(self) -> SingleStreamModel:
        return english_body(self.world)

    @cached_property
    def multilingual(self) -> SingleStreamModel:
        return multilingual_body(self.world)

    @cached_property
    def aligned(self) -> AlignedModel:
        """The multimodal model, with English added."""
        english, _, _ = learned(self, ALIGNED, SOURCE_LANGUAGE)
        world, body = self.world, deepcopy(self.multilingual)
        return aligned_model(world, body, english, world.folder / f"aligned-{world.seed}", world.settings.task_steps)

    @cached_property
    def minilm(self) -> OnBundledPictures:
        return published_english_body(self.world, MINILM)

    @cached_property
    def e5(self) -> AlignedModel:
        world, body = self.world, published_body(self.world, E5)
        folder, steps = world.folder / f"{E5}-{world.seed}", world.settings.published_steps
        return aligned_model(world, body, None, folder, steps).to(native_dtype())

    def of(self, way: Way) -> SingleStreamModel:
        """Returns the model to which the way's languages are added."""
        names = {ENGLISH: "english", MULTILINGUAL: "aligned", MINILM: "minilm", E5: "e5"}
        model: SingleStreamModel = getattr(self, names[way.body])
        return model


def learned(bodies: Bodies, way: Way, code: str) -> tuple[Language, Row, int]:
    """Returns the language learned in a way, the scores of its training and the size of its files in bytes."""
    world, body = bodies.world, _text_body(bodies, way)
    folder = _folder(world, way, code)
    if not (folder / "language.json").exists():
        (_by_answers if way.asked else _by_text)(bodies, way, code, folder)
    language = load_language(folder, body.config.width, body.config.first_joint_layer)
    _, facts = load_facts(folder)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    scores: Row = {name: score for name, score in facts.scores.items() if way.tokens or name != "perplexity"}
    if way.switched:  # not counting the sentences made from them
        scores["translations"] = world.settings.translations
    return language, scores, size


def _folder(world: World, way: Way, code: str) -> Path:
    return world.folder / "languages" / f"{way.name.replace(' ', '-')}-{code}-{world.seed}"


def _text_body(bodies: Bodies, way: Way) -> SingleStreamModel:
    return bodies.multilingual if way.body == MULTILINGUAL else bodies.of(way)


def _by_text(bodies: Bodies, way: Way, code: str, folder: Path) -> None:
    world, settings = bodies.world, bodies.world.settings
    _take_first_stage(world, way, code, folder / "training")
    train_language(
        deepcopy(_text_body(bodies, way)),
        str(world.folder / f"{way.body}-{world.seed}"),
        code,
        world.sentences(code, way.questions),
        folder,
        LanguageSettings(
            vocabulary=_vocabulary(settings, way),
            adapter=ADAPTER if way.adapter else None,
            epochs=settings.epochs if way.tokens else 0,
            steps=round(way.times * settings.meaning_steps),
            parts=way.parts,
            meaning_rate=way.rate,
            seed=world.seed,
        ),
        beside_english(world, way, code),
        world.states if way.pictured else None,
        world.report,
    )


def _vocabulary(settings: Settings, way: Way) -> int:
    if way.body in (MULTILINGUAL, E5):
        return 0
    return min(settings.vocabulary, FEW_SUBWORDS) if way.shared else settings.vocabulary


def _take_first_stage(world: World, way: Way, code: str, training: Path) -> None:
    """Copies the first stage of another way that was learned already, if it is the same. `train_language` goes on from
    its end, and refuses it if it is another."""
    if training.exists() or not way.tokens:
        return
    for other in WAYS:
        folder = _folder(world, other, code)
        same = _first_stage(world.settings, other) == _first_stage(world.settings, way)
        if same and not other.asked and (folder / "language.json").exists():
            for name in FIRST_STAGE:  # in this order: without the last file, the stage is trained
                if (file := folder / "training" / name).exists():
                    training.mkdir(parents=True, exist_ok=True)
                    with atomic.whole(training / name) as draft:
                        shutil.copyfile(file, draft)
            return


def _first_stage(settings: Settings, way: Way) -> tuple[object, ...]:
    return way.body, way.adapter, way.questions, way.tokens, _vocabulary(settings, way)


def _by_answers(bodies: Bodies, way: Way, code: str, folder: Path) -> None:
    """Continues the training of the language of `ADAPTERS` with the translated questions."""
    world, steps = bodies.world, bodies.world.settings.meaning_steps
    language, _, _ = learned(bodies, ADAPTERS, code)
    _, facts = load_facts(_folder(world, ADAPTERS, code))
    count, asked = _asked(world, way)
    model = deepcopy(bodies.of(way))
    training = folder / "training"
    training.mkdir(parents=True, exist_ok=True)
    with frozen(model):
        model.add_language(language)
        losses = AnswerLosses(model, code, asked, world.seed)
        fit("answers", language, losses, Schedule(steps, 2e-3, warmup=min(50, steps // 10)), training, world.report)
    scores = {**facts.scores, "translations": count}
    save_language(language, folder, LanguageFacts(facts.model, facts.fingerprint, scores))


@cache
def _asked(world: World, way: Way) -> tuple[int, Asked]:
    """Returns the number of translated questions, and what they ask about training pictures, for all languages."""
    asked = {seed: one for seed, one in _translated(world, way).items() if not isinstance(one, tuple)}
    return len(asked), of_training_pictures(world, asked)


def beside_english(world: World, way: Way, code: str) -> list[Translation]:
    """Returns the sentences that a way learns from, each with the English sentence whose outputs it must match.

    A code-switched way adds as many mixed sentences as there are sentences in the language, each for another training
    picture. None of them is a sentence that models are measured with. The translations are repeated until they make up
    half of the list.
    """
    pairs = translations(world, code, way) if way.translated else []
    if way.switched:
        words, rng = dictionary(pairs), random.Random(f"switched {world.seed}")
        count = world.settings.sentences
        measured = measured_sentences(code, world.settings.pictures)
        said = (say(SOURCE_LANGUAGE, sample_caption(sample_scene(seed), rng)) for seed in range(TRANSLATED))
        mixed = (Translation(switched(one, words, rng), one, SOURCE_LANGUAGE) for one in said)
        fresh = (one for one in mixed if normalised(one.sentence) not in measured)
        pairs = pairs * (count // len(pairs)) + [*islice(fresh, count)]
    return pairs


def translations(world: World, code: str, way: Way) -> list[Translation]:
    """Returns a way's sentences in a language with their English translations."""
    found = in_two_languages(code, _translated(world, way).values())
    require_unmeasured((one.sentence for one in found), code, world.settings.pictures)
    return found


def in_two_languages(code: str, meanings: Iterable[Meaning]) -> list[Translation]:
    """Returns each meaning in a language, with its English translation."""
    return [Translation(say(code, one), say(SOURCE_LANGUAGE, one), SOURCE_LANGUAGE) for one in meanings]


def _translated(world: World, way: Way) -> dict[int, Meaning]:
    """Returns the meanings of the translated sentences by the seeds of their scenes. They are the same for all
    languages, and models are measured with none of them."""
    rng, count = random.Random(f"translations {world.seed}"), world.settings.translations
    sample = sample_meaning if way.questions else sample_caption
    meanings: dict[int, Meaning] = {}
    for seed in range(TRANSLATED, FIRST_SENTENCE):
        if len(meanings) == count * (CHOSEN_FROM if way.chosen else 1):
            break
        meaning = sample(sample_scene(seed), rng)
        if not is_measured(meaning, world.settings.pictures):
            meanings[seed] = meaning
    if not way.chosen:
        return meanings
    seeds = list(meanings)
    rows = spread([say(SOURCE_LANGUAGE, one) for one in meanings.values()], count)
    return {seeds[row]: meanings[seeds[row]] for row in rows}
