"""The ways across, each of which gives a language to a body: the paper's three, and ours."""

import random
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

from experiments.results import Row
from experiments.xgqa.aligned import AlignedModel, aligned_model
from experiments.xgqa.bodies import ENGLISH, MULTILINGUAL, SOURCE_LANGUAGE, World, english_body, multilingual_body, say
from polyglance.data.corpora import Translation
from polyglance.models.languages import Language, load_facts, load_language
from polyglance.models.single_stream import SingleStreamModel
from polyglance.scenes.sampling import sample_scene
from polyglance.training.languages import ADAPTER, LanguageSettings, train_language
from polyglance.training.meanings import sample_meaning

TRANSLATED = 50_000
"""Scenes of the training range from here on are those of which translated sentences are said."""


@dataclass(frozen=True)
class Way:
    """adapter: whether there is one beside the embeddings. translated: whether translations are learned from; pictured:
    and whether they are held beside pictures. tokens: whether hidden words are told first. body: on the
    multilingual one its own subwords serve."""

    name: str
    adapter: bool = True
    translated: bool = False
    pictured: bool = False
    tokens: bool = True
    body: str = ENGLISH


ALIGNED = Way("multilingual", body=MULTILINGUAL)
PAPER = (Way("embeddings", adapter=False), Way("adapters"), ALIGNED)
"""OSCAR+Emb, OSCAR+Ada, mBERTAda."""
OURS = (
    Way("translations", translated=True),
    Way("translations alone", translated=True, tokens=False),
    Way("translations beside pictures", translated=True, pictured=True),
)
WAYS = (*PAPER, *OURS)


@dataclass(frozen=True)
class Bodies:
    """The bodies with nothing added, in the processor's own precision; each is made when it is first asked for."""

    world: World

    @cached_property
    def english(self) -> SingleStreamModel:
        return english_body(self.world)

    @cached_property
    def multilingual(self) -> SingleStreamModel:
        return multilingual_body(self.world)

    @cached_property
    def aligned(self) -> AlignedModel:
        """With English in it."""
        english, _, _ = learned(self, ALIGNED, SOURCE_LANGUAGE)
        return aligned_model(self.world, deepcopy(self.multilingual), english)

    def of(self, way: Way) -> SingleStreamModel:
        """The model that answers, to which the way's languages are added."""
        return self.english if way.body == ENGLISH else self.aligned


def learned(bodies: Bodies, way: Way, code: str) -> tuple[Language, Row, int]:
    """The language by a way, what its training came to, and the bytes of its files."""
    world, settings = bodies.world, bodies.world.settings
    body = bodies.english if way.body == ENGLISH else bodies.multilingual
    folder = world.folder / "languages" / f"{way.name.replace(' ', '-')}-{code}-{world.seed}"
    if not (folder / "language.json").exists():
        train_language(
            deepcopy(body),
            str(world.folder / f"{way.body}-{world.seed}"),
            code,
            world.sentences(code),
            folder,
            LanguageSettings(
                vocabulary=settings.vocabulary if way.body == ENGLISH else 0,
                adapter=ADAPTER if way.adapter else None,
                epochs=settings.epochs if way.tokens else 0,
                steps=settings.meaning_steps,
                seed=world.seed,
            ),
            translations(world, code) if way.translated else (),
            world.states if way.pictured else None,
            world.report,
        )
    language = load_language(folder, body.config.width, body.config.first_joint_layer)
    _, facts = load_facts(folder)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return language, dict(facts.scores), size


def translations(world: World, code: str) -> list[Translation]:
    """Sentences in a language beside what they say in English."""
    rng = random.Random(f"translations {world.seed}")
    meanings = [sample_meaning(sample_scene(TRANSLATED + number), rng) for number in range(world.settings.translations)]
    return [Translation(say(code, one), say(SOURCE_LANGUAGE, one), SOURCE_LANGUAGE) for one in meanings]
