import torch

from polyglance.nn.states import TokenStates


def test_eight_bits_and_a_scale_keep_states_within_half_a_step() -> None:
    torch.manual_seed(0)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    states = TokenStates(torch.randn(2, 3, 8) * torch.tensor([0.01, 1, 100])[None, :, None], mask, "image")
    stored = states.store()
    assert [row.values.shape for row in stored] == [(3, 8), (1, 8)]
    assert stored[0].nbytes == 3 * 8 + 3 * 2
    back = TokenStates.load(stored, "image", "cpu")
    assert torch.equal(back.mask, mask)
    step = states.hidden.abs().amax(dim=-1, keepdim=True) / 127
    assert ((back.hidden - states.hidden).abs() <= 0.6 * step)[mask].all()


def test_all_zero_states_survive() -> None:
    states = TokenStates(torch.zeros(1, 2, 4), torch.ones(1, 2, dtype=torch.bool), "image")
    assert torch.equal(TokenStates.load(states.store(), "image", "cpu").hidden, states.hidden)


def test_rows_may_be_taken_in_any_order_and_twice() -> None:
    states = TokenStates(torch.arange(3.0)[:, None, None], torch.ones(3, 1, dtype=torch.bool), "text")
    assert states[torch.tensor([2, 0, 2])].hidden.flatten().tolist() == [2, 0, 2]


def test_a_vector_stays_as_it_is_beside_states_in_eight_bits() -> None:
    torch.manual_seed(0)
    states = TokenStates(torch.randn(3, 2, 4), torch.ones(3, 2, dtype=torch.bool), "image", torch.randn(3, 5))
    back = TokenStates.load(states[[2, 0]].trimmed().store(), "image", "cpu")
    assert torch.equal(back.vector, states.vector[[2, 0]])
    assert back.store()[0].nbytes == 2 * 4 + 2 * 2 + 5 * 4


def test_columns_that_are_padding_in_every_row_go() -> None:
    mask = torch.tensor([[True, False, False, False], [True, True, False, False]])
    states = TokenStates(torch.randn(2, 4, 3), mask, "text").trimmed()
    assert states.hidden.shape == (2, 2, 3)
    assert states.mask.tolist() == [[True, False], [True, True]]
