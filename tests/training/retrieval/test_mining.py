import torch

from polyglance.nn.encoder import unit
from polyglance.training.retrieval.mining import NEAREST, nearest_wrong


def test_the_nearest_wrong_pictures_come_first_and_none_that_fits() -> None:
    texts = unit(torch.tensor([[1.0, 0], [0, 1]]))
    images = unit(torch.tensor([[1.0, 0], [1, 0.5], [0.5, 1], [0, 1]]))
    found = nearest_wrong(texts, images, [{0}, {3, 2}])
    assert found.shape == (2, NEAREST)
    assert found[:, :4].tolist() == [[1, 2, 3, -1], [1, 0, -1, -1]]
    assert (found[:, 4:] == -1).all()
