"""The image tower of an export in 8-bit integers, beside the one that it was made of."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from polyglance.adapters.config import AdapterConfig
from polyglance.data.captions import Caption
from polyglance.data.images import decode
from polyglance.data.questions import Question
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models import load_model
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.dual_tower import TOWER, DualTowerModel
from polyglance.models.families.towers import INT8
from polyglance.models.openvino.export import save_int8
from polyglance.models.protocol import ImageBatch
from polyglance.training.retrieval.objectives import RetrievalSettings
from polyglance.training.retrieval.trainer import train_retrieval
from polyglance.training.vqa import train_vqa
from tests.backbone_checkpoints import composed, convnext
from tests.checkpoints import exported, pictures, tiny_clip, tiny_siglip
from tests.cli.command import SOURCE

WRITERS = {"clip": tiny_clip, "siglip": tiny_siglip, "composed": partial(composed, images=convnext)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of exports; their originals lie beside them."""
    return {name: exported(tmp_path_factory.mktemp(name), write) for name, write in WRITERS.items()}


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """As a preprocessor of 32 x 32 makes them."""
    images = [decode(path).resize((32, 32)) for path in pictures(tmp_path_factory.mktemp("pictures"))]
    return torch.from_numpy(np.stack([np.asarray(image).transpose(2, 0, 1) for image in images]))


def loaded(folder: Path, dtype: torch.dtype = torch.float32) -> DualTowerModel:
    model = load_folder(folder, dtype)
    assert isinstance(model, DualTowerModel)
    return model


@pytest.mark.parametrize("name", WRITERS)
def test_vectors_are_near_the_originals(folders: dict[str, Path], pixels: torch.Tensor, name: str) -> None:
    export, original = loaded(folders[name]), loaded(folders[name].parent / "original")
    assert export.tower.int8
    assert not original.tower.int8
    own, theirs = (model.read_images(ImageBatch(pixels)) for model in (export, original))
    assert own.hidden.shape == theirs.hidden.shape
    cosines = torch.cosine_similarity(own.vector, theirs.vector)
    assert cosines.min() > 0.995
    assert not torch.equal(own.hidden, theirs.hidden), "it is the original that was read"
    text = [model.read_text(model.tokenize(["a red star"])).vector for model in (export, original)]
    torch.testing.assert_close(*text, atol=0, rtol=0)


def test_batches_of_any_size_are_read(folders: dict[str, Path], pixels: torch.Tensor) -> None:
    model = loaded(folders["clip"])
    whole = model.see(ImageBatch(pixels.repeat(20, 1, 1, 1)))
    for rows in (1, 3, 80):
        torch.testing.assert_close(model.see(ImageBatch(pixels.repeat(20, 1, 1, 1)[:rows])), whole[:rows])


def test_it_has_torchs_threads_and_the_models_precision(folders: dict[str, Path], pixels: torch.Tensor) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        tower = loaded(folders["clip"]).tower
        assert tower.int8
        for number in (2, 1):
            torch.set_num_threads(number)
            compiled = tower.int8.compiled(torch.float32)
            assert compiled.get_property("INFERENCE_NUM_THREADS") == 2
            assert compiled.get_property("NUM_STREAMS") == 2 // number
            assert tower.int8.compiled(torch.float32) is compiled
    finally:
        torch.set_num_threads(threads)
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    with ThreadPoolExecutor(2) as pool:
        values = tower.normalised(pixels, torch.float32)
        for made in pool.map(tower.int8, [values] * 8):
            torch.testing.assert_close(made, tower.int8(values))
    assert tower.int8(values.bfloat16()).dtype == torch.bfloat16


def test_adapters_in_the_tower_are_part_of_it(folders: dict[str, Path], pixels: torch.Tensor, tmp_path: Path) -> None:
    plain = loaded(folders["clip"].parent / "original")
    adapted = plain.in_shape(tower_adapters=AdapterConfig()).eval()
    for weights in (adapted.tower_adapters["image"].down, adapted.tower_adapters["image"].up):
        torch.nn.init.normal_(weights, std=0.3)
    save_int8(adapted, pixels, tmp_path)
    with torch.no_grad():
        vectors = [model.read_images(ImageBatch(pixels)).vector for model in (loaded(tmp_path), adapted, plain)]
    export, original, without = vectors
    assert torch.cosine_similarity(export, original).min() > 0.99
    assert torch.cosine_similarity(without, original).min() < 0.95


def test_the_fingerprint_is_another_and_that_of_the_files(folders: dict[str, Path], tmp_path: Path) -> None:
    model = loaded(folders["clip"])
    plain = tmp_path / "plain"
    save_model(loaded(folders["clip"].parent / "original"), plain)
    assert (plain / "model.safetensors").read_bytes() == (folders["clip"] / "model.safetensors").read_bytes()
    assert loaded(plain).fingerprint != model.fingerprint
    save_model(model, tmp_path / "again")
    again = loaded(tmp_path / "again")
    assert again.tower.int8
    assert again.fingerprint == model.fingerprint


def test_products_that_overflow_here_are_refused(
    folders: dict[str, Path], pixels: torch.Tensor, tmp_path: Path
) -> None:
    """In a process whose processor has AVX2 and nothing newer, by oneDNN's setting, which OpenVINO follows."""
    original = loaded(folders["clip"].parent / "original")
    for fix in (False, True):
        save_int8(original, pixels, tmp_path / str(fix), overflow_fix=fix)
        assert json.loads((tmp_path / str(fix) / TOWER / INT8 / "image.json").read_text())["overflow_fix"] is fix
    save_file({"pixels": pixels.contiguous()}, tmp_path / "pixels.safetensors")
    code = """
import sys, torch
from pathlib import Path
from safetensors.torch import load_file
from polyglance.errors import ConfigurationError
from polyglance.models.checkpoint import load_folder
from polyglance.models.protocol import ImageBatch
folder, pixels = Path(sys.argv[1]), ImageBatch(load_file(sys.argv[1] + "/pixels.safetensors")["pixels"])
try:
    load_folder(folder / "False", torch.float32)
except ConfigurationError as error:
    print(error)
export, original = (load_folder(one, torch.float32) for one in (folder / "True", Path(sys.argv[2])))
vectors = [model.read_images(pixels).vector for model in (export, original)]
print(export.tower.int8.overflow_fix, torch.cosine_similarity(*vectors).min().item())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(folders["clip"].parent / "original")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "ONEDNN_MAX_CPU_ISA": "AVX2"},
    )
    refusal, figures = done.stdout.splitlines()
    assert "8-bit products overflow on this one" in refusal
    fix, cosine = figures.split()
    assert fix == "True"
    assert float(cosine) > 0.995


def test_other_files_than_were_exported_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    weights = copytree(folders["clip"], tmp_path / "torn") / TOWER / INT8 / "image.bin"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"image\.bin.* copy the model's folder again") as told:
        load_model(str(tmp_path / "torn"))
    assert "\n" not in str(told.value)
    weights.unlink()
    with pytest.raises(CheckpointError, match="copy the model's folder again"):
        load_model(str(tmp_path / "torn"))
    (weights.parent / "image.json").unlink()
    with pytest.raises(CheckpointError, match=r"image\.json"):
        load_model(str(tmp_path / "torn"))


def test_an_export_is_not_trained(folders: dict[str, Path], tmp_path: Path) -> None:
    model, (image, *_) = loaded(folders["clip"]), pictures(tmp_path)
    with pytest.raises(ConfigurationError, match=r"8-bit integers: train the original"):
        train_retrieval(model, [Caption(image, "a red star", "en")], tmp_path / "retrieval", RetrievalSettings())
    with pytest.raises(ConfigurationError, match=r"8-bit integers: train the original"):
        train_vqa(model, "export", [Question(image, "is it red?", "yes", "en")], tmp_path / "vqa")
    assert not (tmp_path / "retrieval").exists()


def test_a_missing_library_is_one_line(folders: dict[str, Path]) -> None:
    """In a process where it cannot be imported."""
    code = (
        "import sys; sys.modules['openvino'] = None\n"
        "from pathlib import Path; from polyglance.errors import ConfigurationError\n"
        "from polyglance.models.openvino.tower import OpenVinoTower\n"
        "try: OpenVinoTower(Path(sys.argv[1]))\n"
        "except ConfigurationError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(folders["clip"] / TOWER / INT8)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(SOURCE)}
    )
    assert done.stdout.count("\n") == 1
    assert "needs openvino, which is not installed: pip install 'polyglance[openvino]'" in done.stdout
