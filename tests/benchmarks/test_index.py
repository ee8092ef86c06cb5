"""What indexing is compared with reads the same pictures, and a comparison is a row for each other side."""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np

from benchmarks.adapters import Peer
from benchmarks.index import BARE, HEIGHT, LIBRARY, LIBRARY_BEST, LIMIT, WIDTH, Comparison, checkpoints, draw


def test_drawn_pictures_are_as_large_as_photographs() -> None:
    one, other = draw(0), draw(1)
    assert one.size == (WIDTH, HEIGHT)
    assert (np.asarray(one) == np.asarray(draw(0))).all()
    assert (np.asarray(one) != np.asarray(other)).mean() > 0.5
    one.save(file := BytesIO(), "JPEG", quality=85)
    assert 50_000 < len(file.getvalue()) < 100_000


def test_a_comparison_is_a_row_for_each_other_side(tmp_path: Path) -> None:
    parts = [tmp_path / "pictures" / str(part) for part in range(2)]
    for number in range(8):
        parts[number // 4].mkdir(parents=True, exist_ok=True)
        draw(number).resize((64, 48)).save(parts[number // 4] / f"{number}.jpg")
    clip = checkpoints(small=True)[1]
    with Peer("_index_peer.py", Path(sys.executable)) as peer:
        rows = list(Comparison(clip, "float32", parts, tmp_path, peer).rows(every=2))
    assert [row["peer"] for row in rows] == [LIBRARY, LIBRARY_BEST, LIMIT, BARE]
    assert rows[0]["required"] == 1.3
    assert rows[3]["required"] is None
    for row in rows:
        low, high = row["spread"]
        assert low <= row["ratio"] <= high
        assert row["least_cosine"] > 0.99999
        assert (row["pictures"], row["peer_pictures"]) == (8, 4)
        assert row["peak_mib_at_a_quarter"] <= row["peak_mib_at_the_end"]
