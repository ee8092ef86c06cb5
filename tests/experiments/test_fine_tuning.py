"""What training on titled clip art is measured by."""

from pathlib import Path

from experiments.editions.collections import Collection
from experiments.fine_tuning import held_out


def test_the_held_out_pictures_alone_are_those_that_are_asked_about() -> None:
    everything = Collection(
        "clip art",
        [Path(f"{number}.png") for number in range(5)],
        {("titles", "en"): [(3, "a horse"), (1, "a cow"), (3, "a mare")]},
    )
    alone = held_out(everything)
    assert alone.pictures == [Path("1.png"), Path("3.png")]
    assert alone.queries == {("titles", "en"): [(1, "a horse"), (0, "a cow"), (1, "a mare")]}
