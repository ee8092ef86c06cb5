"""The subwords of the bundled model: those of a larger tokenizer, without upper case, that texts use."""

from pathlib import Path

import torch

from experiments.bundled_model.vocabulary import begun_from, lower_cased, most_used, unigram
from polyglance.data.tokenization import Tokenizer

PIECES = [
    ("<s>", 0.0),
    ("▁Hund", -4.0),
    ("▁hund", -5.0),
    ("▁cat", -4.5),
    ("▁rare", -9.0),
    *((letter, -8.0) for letter in "▁HhundcatreОо"),
]


def scores() -> dict[str, float]:
    return {piece: score for piece, (score, _) in lower_cased(PIECES).items()}


def test_pieces_that_differ_in_case_alone_become_one_that_is_as_likely_as_both() -> None:
    merged = lower_cased(PIECES)
    score, rows = merged["▁hund"]
    assert rows == [1, 2]
    assert torch.tensor(score).exp().item() == torch.tensor([-4.0, -5.0]).exp().sum().item()
    assert "<s>" not in merged
    assert merged["о"][1] == [len(PIECES) - 2, len(PIECES) - 1]


def test_the_most_used_pieces_are_kept_with_every_letter_of_the_texts(tmp_path: Path) -> None:
    kept = most_used(scores(), [("Hund", 5.0), ("cat", 1.0), ("rare", 0.1)], size=15)
    assert {"▁hund", "▁cat"} <= kept.keys()
    assert "▁rare" not in kept
    (tmp_path / "tokenizer.json").write_text(unigram(kept), encoding="utf-8")
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    assert tokenizer.vocabulary == len(kept) + 3
    pieces = list(kept)
    (hund,), (upper,), rare = (ids for ids in tokenizer.spell(["hund", "HUND", "rare"]))
    assert hund == upper == 3 + pieces.index("▁hund")
    assert [pieces[row - 3] for row in rare] == ["▁", "r", "a", "r", "e"]


def test_embeddings_begin_as_the_teachers_in_its_widest_directions() -> None:
    teacher = torch.randn(20, 6) * torch.tensor([5.0, 4.0, 3.0, 0.01, 0.01, 0.01])
    begun = begun_from(teacher, [[row] for row in range(20)], 3)
    assert begun.shape == (20, 3)
    torch.testing.assert_close(torch.pdist(begun), torch.pdist(teacher), atol=0.05, rtol=0.01)
    both = begun_from(teacher, [[0, 1], *([row] for row in range(2, 20))], 6)
    torch.testing.assert_close(
        (both[0] - both[1]).norm(), (teacher[:2].mean(dim=0) - teacher[2]).norm(), atol=1e-4, rtol=1e-4
    )
