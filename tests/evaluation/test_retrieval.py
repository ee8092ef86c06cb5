import torch

from polyglance.evaluation.retrieval import Ranking, retrieve


def test_recall_counts_the_right_item_among_the_first() -> None:
    ranking = Ranking(torch.tensor([[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 2, 3]]))
    right = torch.tensor([0, 0, 2, 0])
    assert [ranking.recall(right, at) for at in (1, 2, 3)] == [25, 50, 75]


def test_retrieve_orders_by_cosine_and_takes_no_more_than_there_are() -> None:
    pool = torch.tensor([[1.0, 0], [0, 1], [0.6, 0.8]])
    ranking, scores = retrieve(torch.tensor([[1.0, 0]]), pool, 10)
    assert ranking.order.tolist() == [[0, 2, 1]]
    torch.testing.assert_close(scores, torch.tensor([[1, 0.6, 0]]))
