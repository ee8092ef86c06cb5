"""The pictures of the experiment as the bundled model keeps them, read once, without the state of the whole picture."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from experiments.adapterdrop.settings import Settings
from experiments.pretraining.picture_stage import CELLS
from experiments.scenes import read_scenes
from experiments.splits import require_split
from polyglance import atomic
from polyglance.models import load_model
from polyglance.scenes.sampling import FIRST_SEED, Scene, sample_scene
from polyglance.types import StageProgress

CHUNK = 500


@dataclass(frozen=True, eq=False)
class Pictures:
    """Scenes of the training range, then those of the test range, and the token states of each.

    Raises DataError if a scene is in the other range.
    """

    scenes: tuple[Scene, ...]
    states: Float[Tensor, "scenes cells values"]
    trained: int

    def __post_init__(self) -> None:
        require_split((self.scenes[row].seed for row in self.train), "train")
        require_split((self.scenes[row].seed for row in self.test), "test")

    @property
    def train(self) -> range:
        """Rows of the training range."""
        return range(self.trained)

    @property
    def test(self) -> range:
        return range(self.trained, len(self.scenes))


def read_pictures(settings: Settings, folder: Path, report: StageProgress | None = None) -> Pictures:
    """Reads the states from `folder/pictures.safetensors`; if it is missing, the bundled model reads the pictures
    first."""
    seeds = [*range(settings.scenes), *(FIRST_SEED["test"] + i for i in range(settings.test_scenes))]
    scenes = tuple(map(sample_scene, seeds))
    path = folder / "pictures.safetensors"
    if not path.exists():
        model = load_model()
        parts = []
        for start in range(0, len(scenes), CHUNK):
            parts.append(read_scenes(model, scenes[start : start + CHUNK]).hidden[:, :CELLS].to(torch.bfloat16))
            if report:
                report("pictures", min(start + CHUNK, len(scenes)), len(scenes), {})
        with atomic.whole(path) as draft:
            save_file({"states": torch.cat(parts)}, draft)
    return Pictures(scenes, load_file(path)["states"], settings.scenes)
