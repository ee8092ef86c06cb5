"""An adapter that was trained here, loaded into the `adapters` library, gives the same logits and scores there."""

from pathlib import Path

import pytest
import torch

from experiments.adapterdrop.library import library_logits, our_logits
from experiments.adapterdrop.text_tasks import PairTokenizer, text_task
from polyglance.adapters.config import AdapterConfig
from polyglance.models.families.text_encoder import load_text_encoder
from polyglance.training.state_cache import keep_states
from polyglance.training.tasks.trainer import Examples, TaskSettings, train_task
from tests.text_task_files import tiny_text_encoder, write_task_files


@pytest.mark.parametrize(("name", "depth"), [("sick_nli", 0), ("sts", 1)])
def test_a_trained_adapter_scores_the_same_there(tmp_path: Path, name: str, depth: int) -> None:
    checkpoint = tiny_text_encoder(tmp_path / "body")
    body = load_text_encoder(checkpoint, torch.float32)
    task = text_task(name, write_task_files(tmp_path / "data"), body, PairTokenizer(checkpoint, 32), {})
    train, test = task.parts["train"], task.parts["test"]
    settings = TaskSettings(depth, epochs=4, batch=16, learning_rate=2e-2)
    examples = Examples(keep_states(train.inputs, (0,)), train.labels)
    untrained = train_task(
        examples, task.classes, tmp_path / "one", TaskSettings(depth, 1, 64, 1e-6), AdapterConfig(reduction_factor=4)
    )
    trained = train_task(examples, task.classes, tmp_path / "run", settings, AdapterConfig(reduction_factor=4))
    here, there = our_logits(test.inputs, trained), library_logits([test.inputs], [trained], checkpoint)[0]
    torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-4)
    assert task.measure(there, test.labels) == task.measure(here, test.labels)
    assert not torch.allclose(our_logits(test.inputs, untrained), here, atol=1e-2)
