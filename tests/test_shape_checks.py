"""The shapes in the signatures are not decoration: `tests/conftest.py` has them checked."""

import pytest
import torch
from jaxtyping import TypeCheckError

from polyglance.nn.states import TokenStates


def test_a_wrong_shape_is_refused_where_it_enters():
    with pytest.raises(TypeCheckError):
        TokenStates(torch.zeros(2, 3, 4), torch.ones(2, 5, dtype=torch.bool), "image")


def test_a_wrong_dtype_is_refused():
    with pytest.raises(TypeCheckError):
        TokenStates(torch.zeros(2, 3, 4), torch.ones(2, 3), "image")


def test_a_right_shape_passes():
    states = TokenStates(torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.bool), "image")
    assert len(states[0:1]) == 1
