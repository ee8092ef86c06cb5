"""The size of the experiment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The size of a run; the defaults give the figures of the documentation.

    scenes: pictures of the training range that bodies and tasks learn from, in English. pictures: of the test range,
    five questions each. fact_steps, word_steps: of the English body. token_steps: masked-language modelling of the
    multilingual one; task_steps: of its adapters, in English. sentences: of each other language, of no picture.
    translations: of them so many stand beside English. epochs: over the sentences. meaning_steps: over the
    translations. shots: pictures of the few-shot training, questions: of each; shot_steps: of that training.
    """

    scenes: int = 30_000
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
    sentences: int = 20_000
    translations: int = 500
    epochs: int = 3
    meaning_steps: int = 600
    shots: tuple[int, ...] = (1, 5, 10, 20, 25, 48)
    shot_questions: int = 30
    shot_steps: int = 400


SMALL = Settings(
    scenes=40,
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
    sentences=40,
    translations=12,
    epochs=1,
    meaning_steps=2,
    shots=(1, 2),
    shot_questions=5,
    shot_steps=2,
)
"""Settings that run through everything in seconds."""
