"""The size of the experiment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The size of a run; the defaults give the figures of the documentation.

    scenes, test_scenes: the numbers of training and of test pictures. layers, width, heads: the shape of the body.
    place_steps, word_steps: the steps of the two stages of its pre-training. captions, questions: the numbers of texts
    per step. examples, test_examples: the numbers of examples of each task.
    """

    seed: int = 0
    scenes: int = 30_000
    test_scenes: int = 1500
    vocabulary: int = 1000
    layers: int = 8
    width: int = 128
    heads: int = 4
    place_steps: int = 3000
    word_steps: int = 2600
    captions: int = 64
    questions: int = 64
    examples: int = 16_000
    test_examples: int = 1500


SMALL = Settings(
    scenes=40,
    test_scenes=20,
    vocabulary=600,
    layers=4,
    width=32,
    place_steps=2,
    word_steps=2,
    captions=6,
    questions=4,
    examples=20,
    test_examples=10,
)
"""Settings that run through everything in seconds."""
