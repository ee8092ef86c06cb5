"""The models of the experiment: an image network and a text encoder that were trained apart, and what is trained here.

A twin encoder is trained first. A cross-encoder begins from it, with random negatives. The joint model begins from the
cross-encoder, with negatives that the twin encoder mistakes. The twin encoder stays as it is in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch

from experiments.flickr8k.measures import Reading
from experiments.flickr8k.photographs import Photographs
from experiments.flickr8k.settings import Settings
from experiments.weights.folders import weights_folder
from polyglance.adapters.config import AdapterConfig
from polyglance.data.lines import Split
from polyglance.evaluation.pools import Pool
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.cut_model import CutModel
from polyglance.models.importing.composing import compose
from polyglance.models.reading import read_texts
from polyglance.nn.states import TokenStates
from polyglance.training.frozen_pictures import PictureInputs
from polyglance.training.retrieval.objectives import RetrievalSettings
from polyglance.training.retrieval.trainer import train_retrieval
from polyglance.training.starting_point import remade
from polyglance.training.state_cache import KeptStates, keep_states
from polyglance.types import StageProgress

IMAGES: Final = "efficientnet-lite2"
TEXTS: Final[Mapping[str, str]] = {"minilm": "all-MiniLM-L6-v2", "e5": "multilingual-e5-small"}
TWIN: Final = "twin"
GRID: Final = 4
TOGETHER: Final = 100
CROSS: Final = "cross"
JOINT: Final = "joint"
_BEGINS_FROM: Final[Mapping[str, str]] = {CROSS: TWIN, JOINT: CROSS}


@dataclass(frozen=True, eq=False)
class World:
    """What the models have in common.

    texts: a key of `TEXTS`. languages: of the training captions. grid: the number of image tokens per side that the
    joint layers read; the twin encoder is the same for all.
    """

    settings: Settings
    folder: Path
    photographs: Photographs
    report: StageProgress
    texts: str = "minilm"
    languages: tuple[str, ...] = ("en",)
    grid: int = GRID

    def composed(self) -> CutModel:
        """Returns the untrained model, in float32."""
        folder = self.folder / self.texts
        if not (folder / "config.json").exists():
            compose(str(weights_folder(IMAGES)), str(weights_folder(TEXTS[self.texts])), folder, kept_grid=GRID)
        return load_folder(folder).float()

    def seen(self, split: Split, model: CutModel) -> KeptStates:
        """Returns the tokens of the image network, which is frozen, for the photographs of a split."""
        inputs = PictureInputs(model, self.photographs.images(split), compressed=False, precision="no")
        return keep_states(inputs, folder=self.folder / "seen", report=self.report)

    def trained(self, system: str, seed: int) -> CutModel:
        """Returns a trained model in float32, from the run's folder if it is there.

        system: `TWIN`, `CROSS` or `JOINT`.
        """
        grid = () if system == TWIN else (str(self.grid),)
        name = "-".join([system, self.texts, *self.languages, *grid, str(seed)])
        folder = self.folder / "models" / name
        if not (folder / "config.json").exists():
            model = self._beginning(system, seed)
            captions = self.photographs.of("train", self.languages)
            model, _ = train_retrieval(
                model,
                captions,
                folder / "training",
                self._settings(system, seed),
                report=self.report,
                kept=self.seen("train", model),
            )
            if system == JOINT:  # candidates are put in order by both
                model.config = replace(model.config, cosine_weight=1 / model.config.temperature)
            save_model(model, folder)
        return load_folder(folder).float()

    def reading(self, model: CutModel, pool: Pool, split: Split, as_stored: bool = True) -> Reading:
        """Reads a pool of all photographs of a split. as_stored: whether states have 8 bits, as in a library."""
        seen = self.seen(split, model)
        parts = [model.compress(seen.before(0, rows)[0]) for rows in torch.arange(len(seen)).split(TOGETHER)]
        images = TokenStates.joined(parts)
        if as_stored:
            images = TokenStates.load(images.store(), "image", model.device)
        return Reading(model, pool, images, read_texts(model, pool.texts, [pool.language] * len(pool.texts)))

    def _beginning(self, system: str, seed: int) -> CutModel:
        """Returns the model that a training begins from. The cross-encoder gets adapters of the tasks in the joint
        layers."""
        if system == TWIN:
            return self.composed()
        model = self.trained(_BEGINS_FROM[system], seed)
        if system == CROSS:
            model = remade(model, seed, task_adapters=AdapterConfig(), kept_grid=self.grid)
        return model

    def _settings(self, system: str, seed: int) -> RetrievalSettings:
        s = self.settings
        common = RetrievalSettings(precision="no", seed=seed)
        if system == TWIN:
            return replace(common, mode="twin", epochs=s.twin_epochs, batch=s.twin_batch, learning_rate=s.twin_rate)
        common = replace(common, freeze_lower=True, batch=s.batch, drop_tokens=s.drop_tokens)
        if system == CROSS:
            return replace(common, mode="cross", epochs=s.cross_epochs, learning_rate=s.cross_rate)
        return replace(common, mode="joint", mine=1, epochs=s.joint_epochs, learning_rate=s.joint_rate)
