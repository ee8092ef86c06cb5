import pytest
import torch

from polyglance.models.families.text_encoder import Family, TextEncoder, TextEncoderConfig
from polyglance.training.state_cache import keep_states
from polyglance.training.tasks.text_inputs import TextInputs


@pytest.fixture(params=["bert", "roberta"])
def body(request: pytest.FixtureRequest) -> TextEncoder:
    family: Family = request.param
    torch.manual_seed(0)
    padding = 0 if family == "bert" else 1
    return TextEncoder(TextEncoderConfig(family, 50, 20, 16, 2, 32, 3, padding=padding)).eval()


def test_kept_states_are_those_of_the_body(body: TextEncoder) -> None:
    ids = torch.randint(2, 50, (6, 9))
    mask = torch.arange(9) < torch.tensor([9, 4, 7, 3, 9, 5])[:, None]
    states = keep_states(TextInputs(body, ids, mask), (2,), dtype=torch.float32)
    rows = torch.tensor([4, 1, 3])
    with torch.no_grad():
        first, _ = body.encoder.first(*states.before(2, rows), start=2)
        expected = body(ids, mask)[rows, 0]
    torch.testing.assert_close(first, expected, atol=1e-5, rtol=1e-5)


def test_the_key_is_of_the_whole_body(body: TextEncoder) -> None:
    ids, mask = torch.randint(2, 50, (2, 4)), torch.ones(2, 4, dtype=torch.bool)
    before = TextInputs(body, ids, mask).fingerprint
    with torch.no_grad():
        body.type_embedding.weight += 1
    assert TextInputs(body, ids, mask).fingerprint != before
