import pytest

from experiments.splits import require_disjoint, require_split
from polyglance.errors import DataError
from polyglance.scenes.sampling import FIRST_SEED


def test_an_item_in_two_splits_is_refused() -> None:
    splits = {"train": ["a", "b", "a"], "val": ["c"], "test": iter("d")}
    require_disjoint("picture", splits)
    with pytest.raises(DataError, match="expected each picture in one split, but b is in train and in test"):
        require_disjoint("picture", splits | {"test": ["d", "b"]})


def test_a_scene_of_another_split_is_refused() -> None:
    train, val, test = FIRST_SEED.values()
    require_split([train, val - 1], "train")
    require_split([val, test - 1, test], "val", "test")
    for seed, allowed in ((val, ("train",)), (test, ("train", "val")), (val - 1, ("val", "test"))):
        with pytest.raises(DataError, match=rf"expected scenes of the split {' or '.join(allowed)}, but {seed} is in"):
            require_split([seed], *allowed)
