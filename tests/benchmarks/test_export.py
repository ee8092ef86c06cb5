"""The three towers read the same pictures, are compared before they are timed, and make a row of a benchmark."""

from pathlib import Path

from benchmarks.export import REQUIRED, measure
from benchmarks.index import checkpoints


def test_a_comparison_is_a_row(tmp_path: Path) -> None:
    rows = list(measure(checkpoints(small=True)[1], tmp_path, batch=4, repeats=2))
    cases = [f"CLIP, tiny, batches of 4, against {peer}" for peer in ("our own layers", "transformers")]
    assert [row["case"] for row in rows] == cases
    for row in rows:
        assert (row["dtype"], row["required"]) == ("int8", REQUIRED)
        low, high = row["spread"]
        assert 0 < low <= high
        assert 0.9 < row["least_cosine"] < 1
