"""Which heavy packages each command may import: what a command does not need is not waited for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polyglance.models import BUNDLED
from tests.journeys.tiny import save_tiny_model

HEAVY = {
    *("PIL", "accelerate", "eldc", "huggingface_hub", "lance", "lance_namespace", "lancedb", "matplotlib", "nncf"),
    *("numpy", "openvino", "pandas", "pyarrow", "rich", "safetensors", "scipy", "sentence_transformers", "sklearn"),
    *("sympy", "tokenizers", "torch", "transformers"),
}
STORE = {"numpy", "pyarrow", "lance"}
MODEL = {"numpy", "torch", "safetensors", "tokenizers", "PIL"}
CODE = """
import atexit, sys
atexit.register(lambda: print("imported:", *sys.modules, file=sys.stderr))
from polyglance.cli import main
main()
"""


def imported(*arguments: str | Path) -> set[str]:
    """The heavy packages that a command imports in a process of its own."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return HEAVY & set(done.stderr.rpartition("imported:")[2].split())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imports") / "pictures"
    assert imported("scenes", "make", folder, "--count", "2", "--seed", "1", "--json") == {"PIL"}
    return folder


@pytest.fixture(scope="module")
def library(pictures: Path) -> Path:
    folder = pictures.parent / "library"
    found = imported("index", pictures, "--library", folder, "--model", BUNDLED, "--json")
    assert found == STORE | MODEL
    return folder


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_needs_nothing(option: str):
    assert imported(option) == set()


def test_a_search_needs_its_model_and_its_tables(library: Path):
    words = ("search", "ein roter Stern", "--library", library)
    assert imported(*words, "--json") == STORE | MODEL | {"eldc"}
    assert imported(*words, "--language", "de") == STORE | MODEL | {"rich"}


def test_pictures_that_are_unchanged_need_no_model(pictures: Path, library: Path):
    assert imported("index", pictures, "--library", library, "--json") == STORE | {"PIL"}


def test_a_model_that_may_be_another_is_loaded_and_checked(pictures: Path, tmp_path: Path):
    model, library = tmp_path / "model", tmp_path / "library"
    save_tiny_model(model)
    imported("index", pictures, "--library", library, "--model", model, "--json")
    words = ("index", pictures, "--library", library, "--json")
    assert "torch" not in imported(*words)
    os.utime(model / "config.json")
    assert "torch" in imported(*words)
    assert "torch" not in imported(*words)
    save_tiny_model(model, seed=1)
    command = [sys.executable, "-m", "polyglance", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "was read by 'tiny'" in done.stderr


def test_a_question_needs_no_more(pictures: Path, library: Path):
    words = ("ask", "Is it night?", "--image", pictures / "scene_0000001.png", "--json")
    assert imported(*words, "--library", library) == STORE | MODEL | {"eldc"}
