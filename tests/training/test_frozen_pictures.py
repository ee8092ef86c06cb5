"""Pictures that frozen layers read, in the precision of the training."""

import pytest
import torch

from polyglance.models import load_model
from polyglance.training.devices import Precision
from polyglance.training.frozen_pictures import PictureInputs
from tests.checkpoints import pictures
from tests.journeys.tiny import save_tiny_model


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[Precision, PictureInputs]:
    folder = tmp_path_factory.mktemp("model")
    images = tuple(pictures(folder / "pictures"))
    model = load_model(str(save_tiny_model(folder / "model"))).float().eval()
    return {precision: PictureInputs(model, images, True, precision) for precision in ("no", "bf16")}


@torch.no_grad()
def test_pictures_are_read_in_the_precision_that_was_asked_for(inputs) -> None:
    rows = torch.arange(len(inputs["no"]))
    exact, rounded = (inputs[precision].embed(rows)[0] for precision in ("no", "bf16"))
    model = inputs["no"].model
    assert torch.equal(exact, model.compress(model.see(inputs["no"].opened(rows))).hidden)
    assert exact.dtype == torch.float32
    assert (rounded - exact).abs().max() > 0


def test_what_was_read_in_another_precision_is_not_taken_up(inputs) -> None:
    assert inputs["no"].fingerprint != inputs["bf16"].fingerprint
