"""The size of the experiment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The size of a run; the defaults give the figures of the documentation.

    scenes: the number of training pictures of bodies and tasks, with English texts. gallery: the most emoji beside
    them, with English names. pictures: the number of pictures that are measured, with five questions each. fact_steps,
    word_steps: the steps of the two stages of the English body. token_steps: the steps of masked-language modelling of
    the multilingual body. task_steps: the steps of its task adapters, in English. published_steps: the steps of
    training a published encoder for the tasks. sentences: the number of sentences about scenes in each language,
    without pictures. real: the most sentences of real text in each language. translations: the number of sentences that
    are translated. epochs: the passes over the sentences. meaning_steps: the steps over the translations. shots: the
    numbers of pictures in few-shot training. shot_questions: the number of questions about each. shot_steps: the steps
    of few-shot training.
    """

    scenes: int = 30_000
    gallery: int = 1470
    pictures: int = 1000
    vocabulary: int = 2000
    shared_vocabulary: int = 6000
    fact_steps: int = 1200
    word_steps: int = 3000
    captions: int = 64
    names: int = 16
    questions: int = 112
    texts: int = 256
    token_steps: int = 4000
    task_steps: int = 2000
    published_steps: int = 2000
    sentences: int = 20_000
    real: int = 6000
    translations: int = 500
    epochs: int = 3
    meaning_steps: int = 600
    shots: tuple[int, ...] = (1, 5, 10, 20, 25, 48)
    shot_questions: int = 30
    shot_steps: int = 400


SMALL = Settings(
    scenes=40,
    gallery=20,
    pictures=8,
    vocabulary=300,
    shared_vocabulary=400,
    fact_steps=2,
    word_steps=2,
    captions=4,
    names=2,
    questions=4,
    texts=4,
    token_steps=2,
    task_steps=2,
    published_steps=2,
    sentences=40,
    real=10,
    translations=12,
    epochs=1,
    meaning_steps=2,
    shots=(1, 2),
    shot_questions=5,
    shot_steps=2,
)
"""Settings that run through everything in seconds."""
