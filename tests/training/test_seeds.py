import pytest
import torch

from experiments.bundled_model.recipe import Settings as BundledModelSettings
from polyglance.errors import ConfigurationError
from polyglance.training.languages.trainer import LanguageSettings
from polyglance.training.retrieval.objectives import RetrievalSettings
from polyglance.training.seeds import LARGEST_SEED, generator_of
from polyglance.training.tasks.trainer import TaskSettings
from polyglance.training.vqa import VqaSettings


@pytest.mark.parametrize(
    "settings", [LanguageSettings, RetrievalSettings, BundledModelSettings, TaskSettings, VqaSettings]
)
@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, 10**30])
def test_every_training_refuses_a_seed_out_of_range(settings: type, seed: int) -> None:
    assert settings(seed=LARGEST_SEED).seed == LARGEST_SEED
    with pytest.raises(ConfigurationError, match=f"expected a seed from 0 to 4,294,967,295, got {seed}"):
        settings(seed=seed)


def test_each_seed_and_step_draws_numbers_of_its_own() -> None:
    seeds, steps = (0, 1, LARGEST_SEED), (0, 1, 2**20)
    drawn = {
        tuple(torch.randint(2**40, (2,), generator=generator_of(seed, step)).tolist())
        for seed in seeds
        for step in steps
    }
    assert len(drawn) == 9
