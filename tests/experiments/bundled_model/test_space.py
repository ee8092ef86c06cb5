"""The space in which texts and pictures meet."""

from pathlib import Path

import torch

from experiments.bundled_model.lessons import Lesson
from experiments.bundled_model.space import Space, centred, class_vectors


def test_vectors_of_a_kind_and_language_lose_what_they_have_in_common() -> None:
    torch.manual_seed(0)
    lessons = [Lesson("words", code, str(row), (str(row),)) for code in ("en", "de") for row in range(50)]
    meanings = torch.randn(50, 8)
    common = {"en": torch.tensor([9.0] + [0.0] * 7), "de": torch.tensor([0.0] * 7 + [9.0])}
    vectors = torch.cat([meanings + common[code] for code in ("en", "de")])
    english, german = centred(lessons, vectors).chunk(2)
    torch.testing.assert_close(english, german)
    torch.testing.assert_close(english.norm(dim=1), torch.ones(50))


def test_a_few_vectors_of_a_language_lose_what_all_of_their_kind_have_in_common() -> None:
    torch.manual_seed(0)
    languages = ["en"] * 40 + ["id"]
    lessons = [Lesson("names", code, str(row), (str(row),)) for row, code in enumerate(languages)]
    vectors = torch.randn(41, 8) + 3
    alone = centred(lessons, vectors)[-1]
    torch.testing.assert_close(alone, torch.nn.functional.normalize(vectors[-1] - vectors.mean(dim=0), dim=0))


def test_the_widest_directions_are_kept_and_narrow_ones_come_nearer_to_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(500, 4) * torch.tensor([4.0, 2.0, 1.0, 0.0]), dim=1)
    space = Space.of(vectors, 3)
    found = vectors @ space.directions
    plain = vectors[:, :3].std(dim=0)
    assert found.std(dim=0).argsort(descending=True).tolist() == [0, 1, 2]
    assert (found.std(dim=0)[0] / found.std(dim=0)[2]) < plain[0] / plain[2]
    space.save(tmp_path / "space.safetensors")
    assert torch.equal(Space.load(tmp_path / "space.safetensors")(vectors), space(vectors))


def test_a_class_lies_where_its_name_and_its_caption_lie() -> None:
    torch.manual_seed(0)
    space = Space(torch.eye(6)[:, :4])
    named, described = torch.randn(2, 10, 6)
    classes = class_vectors(space, named, described, 3)
    assert classes.shape == (10, 3)
    torch.testing.assert_close(classes.mean(dim=0), torch.zeros(3), atol=1e-6, rtol=0)
    again = class_vectors(space, named + 5, described, 3)
    torch.testing.assert_close(again, classes)
