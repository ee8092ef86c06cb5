"""Files of captions with pictures of one colour each."""

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image


def write_captions(path: Path, rows: Sequence[tuple[str, str, str]], images: Path, language: str = "en") -> None:
    """rows: a picture, its caption and its split."""
    images.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (image, caption, split) in enumerate(rows):
        Image.new("RGB", (16, 16), (40 * number, 90, 200 - 40 * number)).save(images / image)
        lines.append(json.dumps({"image": image, "caption": caption, "language": language, "split": split}))
    path.write_text("\n".join(lines) + "\n")
