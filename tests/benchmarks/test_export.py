"""The three towers read the same pictures, are compared before they are timed, and make a row of a benchmark."""

from pathlib import Path

from benchmarks.export import REQUIRED, measure
from benchmarks.index import checkpoints
from polyglance.kernels.processor import adds_int8_products_in_32_bits


def test_a_comparison_is_a_row(tmp_path: Path) -> None:
    rows = list(measure(checkpoints(small=True)[1], tmp_path, batch=4, repeats=2))
    cases = [f"CLIP, tiny, batches of 4, against {peer}" for peer in ("our own layers", "transformers")]
    if adds_int8_products_in_32_bits():
        cases.append("CLIP, tiny, batches of 4 with the overflow fix, against our own layers")
    assert [row["case"] for row in rows] == cases
    assert [row["required"] for row in rows] == [REQUIRED, REQUIRED, None][: len(rows)]
    assert [row["overflow_fix"] for row in rows] == ([False, False, True] if len(rows) == 3 else [True, True])
    for row in rows:
        assert row["dtype"] == "int8"
        low, high = row["spread"]
        assert 0 < low <= high
        assert 0.9 < row["least_cosine"] < 1
