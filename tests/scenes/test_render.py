import hashlib

import numpy as np

from polyglance.data.gallery import gallery_folder
from polyglance.scenes.render import RGB, render
from polyglance.scenes.sampling import Scene, Thing, sample_scene
from polyglance.scenes.world import BACKGROUNDS, COLOURS, KINDS_BY_CATEGORY, SHAPE


def pixels(scene: Scene) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(render(scene, gallery_folder()))


def test_the_same_seed_gives_the_same_pixels_everywhere() -> None:
    digest = hashlib.sha256(b"".join(pixels(sample_scene(seed)).tobytes() for seed in range(12))).hexdigest()
    assert digest[:16] == "c37630115a76850a"


def test_backgrounds_look_different() -> None:
    colours = {name: pixels(Scene(0, name, ())).reshape(-1, 3).mean(axis=0) for name in BACKGROUNDS}
    for a in BACKGROUNDS:
        for b in BACKGROUNDS:
            assert a == b or np.abs(colours[a] - colours[b]).max() > 30


def test_shapes_and_plates_have_their_colour() -> None:
    for colour in COLOURS:
        for kind in KINDS_BY_CATEGORY[SHAPE]:
            if kind != "crescent":
                assert (
                    pixels(Scene(0, "sea", (Thing(kind, "large", colour, None, 128, 128),)))[128, 128] == RGB[colour]
                ).all()
        plate = pixels(Scene(0, "sea", (Thing("dog", "large", None, colour, 128, 128),)))
        assert (plate.reshape(-1, 3) == RGB[colour]).all(axis=1).sum() > 100
