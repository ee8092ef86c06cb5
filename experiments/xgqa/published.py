"""Bodies whose text side is a published encoder that was trained on real text (`python -m experiments.weights`).

The encoder's lower layers read texts, and copies of its upper layers are the joint layers. The bundled model reads the
pictures, as for the other bodies.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Final, Self

import torch

from experiments.weights.folders import weights_folder
from experiments.xgqa.bodies import World, bundled, english_source, train_words
from experiments.xgqa.corpora import SOURCE_LANGUAGE
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.cut_model import TASKS
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel, as_single_stream
from polyglance.models.importing.conversion import import_checkpoint
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.nn.states import TokenStates
from polyglance.scenes.questions import ANSWERS
from polyglance.training.loop import Schedule

MINILM, E5 = "all-MiniLM-L6-v2", "multilingual-e5-small"
LANGUAGES: Final[dict[str, tuple[str, ...]]] = {MINILM: (SOURCE_LANGUAGE,), E5: ()}
"""The languages that a body begins with. Adapters for all may be added to E5, although it knows them."""
PREFIXES: Final = {MINILM: "", E5: "query: "}
"""The words before each text that an encoder was trained with."""
_FROM_TEXTS = (*SingleStreamModel.of_texts, "expand_text", "task_token", "joint_layers")
_KEPT_GRID: Final = 5
"""Enough positions for the bundled model's states. The picture layers of these models are not used."""


class OnBundledPictures(SingleStreamModel):
    """A model whose pictures the bundled model reads. prefix: put before each text."""

    prefix = ""

    @classmethod
    def of(cls, body: SingleStreamModel) -> Self:
        """Returns a copy of a body in its dtype."""
        model = cls(body.config, body.tokenizer, body.name)
        model.load_state_dict(body.state_dict())
        model.fingerprint = body.fingerprint
        return model.to(body.kept_position.dtype).eval()

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        return super().tokenize([self.prefix + text for text in texts], languages)

    def read_images(self, batch: ImageBatch) -> TokenStates:
        return _reader().read_images(batch)


@cache
def _reader() -> SingleStreamModel:
    return bundled()


def published_body(world: World, name: str) -> OnBundledPictures:
    """Returns an encoder as a model that was trained for no task, in float32. name: of the weights."""
    folder = world.folder / "imported" / name
    if not (folder / "config.json").exists():
        import_checkpoint(str(weights_folder(name)), folder)
    imported = as_single_stream(load_folder(folder, torch.float32))
    torch.manual_seed(world.seed)
    config = replace(
        imported.config,
        answers=ANSWERS,
        languages=LANGUAGES[name],
        kept_grid=_KEPT_GRID,
        compression="queries",
        state_width=bundled().config.state_width,
        tasks=TASKS,
        predicts_tokens=True,
        pools=False,
        temperature=SingleStreamConfig.temperature,
    )
    model = OnBundledPictures(config, imported.tokenizer, name)
    there = imported.state_dict().items()
    model.load_state_dict({name: value for name, value in there if name.startswith(_FROM_TEXTS)}, strict=False)
    model.prefix, model.fingerprint = PREFIXES[name], f"{imported.fingerprint} {world.seed}"
    return model.eval()


def published_english_body(world: World, name: str) -> OnBundledPictures:
    """Trains an encoder of English on pictures and English, from the weights that were published.

    The token embeddings stay as they were published: subwords that do not occur in the texts would otherwise move with
    the masked words, and the embeddings of other languages begin from them.
    """
    folder = world.folder / f"{name}-{world.seed}"
    if not (folder / "config.json").exists():
        model = published_body(world, name)
        source = english_source(world, model.tokenize)
        folder.mkdir(parents=True, exist_ok=True)
        steps = world.settings.published_steps
        schedule = Schedule(steps, 1e-4, warmup=min(150, steps // 4))
        train_words(world, model, source, folder, schedule, held=("token_embedding",))
        save_model(model.eval(), folder)
    return OnBundledPictures.of(as_single_stream(load_folder(folder)))
