from pathlib import Path

import pytest

from polyglance.adapters.adapterhub import write_adapter, write_fusion
from polyglance.adapters.catalogue import catalogue, facts_of
from polyglance.adapters.checkpoint import load_adapter, save_adapter, save_folded, save_fusion
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.errors import CheckpointError
from tests.shared_data import shared_data


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with an adapter, two fusions, and below them an adapter whose weights are gone."""
    save_adapter(Adapter(AdapterConfig("houlsby"), 32, 3), tmp_path / "vqa", "vqa")
    save_fusion(FusionWeights(["a", "b"], 1, 8, 3), tmp_path / "both")
    fused = {name: Adapter(AdapterConfig("parallel"), 16, 3) for name in ("c", "d")}
    save_folded(FoldedWeights.of(FusionWeights(["c", "d"], 1, 16, 3), fused), tmp_path / "folded")
    save_adapter(Adapter(AdapterConfig(), 32, 3), tmp_path / "old" / "itm", "itm")
    (tmp_path / "old" / "itm" / "adapter.safetensors").unlink()
    return tmp_path


def test_all_below_a_folder_is_found_and_what_is_broken_is_named(saved: Path) -> None:
    listed = catalogue(saved)
    assert [(one.kind, one.name, one.placement, one.layers, one.width) for one in listed.found] == [
        ("fusion", "a,b", None, 3, 8),
        ("folded", "c,d", "parallel", 3, 16),
        ("adapter", "vqa", "houlsby", 3, 32),
    ]
    assert [one.folder for one in listed.failed] == [str(saved / "old" / "itm")]
    assert "adapter.safetensors" in listed.failed[0].reason


def test_facts_are_those_of_the_files(saved: Path) -> None:
    facts = facts_of(saved / "vqa")
    assert facts.parameters == 3 * 2 * (2 * 2 * 32 + 2 + 32)
    assert facts.bytes == sum(path.stat().st_size for path in (saved / "vqa").iterdir())
    assert facts.fingerprint == load_adapter(saved / "vqa").fingerprint
    assert facts.settings["placement"] == "houlsby"
    assert facts == catalogue(saved).found[2]
    assert facts_of(saved / "folded").kind == "folded"


def test_what_the_adapters_library_saved_is_found() -> None:
    listed = catalogue(shared_data() / "cases")
    found = {Path(one.folder).name: one for one in listed.found}
    assert set(found) == {
        f"adapter_{case}" for case in ("plain", "with_head", "factor_dict_same", "version_absent_gelu")
    }
    assert {(one.form, one.kind, one.name, one.layers, one.width) for one in found.values()} == {
        ("adapters", "adapter", "sst-2", 3, 8)
    }
    plain = found["adapter_plain"]
    assert plain == facts_of(Path(plain.folder))
    assert plain.settings["reduction_factor"] == 4
    assert plain.bytes == sum(path.stat().st_size for path in Path(plain.folder).iterdir())


def test_a_fusion_of_the_adapters_library_is_found_beside_what_has_no_equal_here(tmp_path: Path) -> None:
    write_fusion(FusionWeights(["a", "b"], 1, 8, 3), tmp_path / "both")
    write_adapter(Adapter(AdapterConfig(), 8, 3), tmp_path / "odd", "odd")
    description = tmp_path / "odd" / "adapter_config.json"
    description.write_text(description.read_text().replace('"ln_before": false', '"ln_before": true'))
    listed = catalogue(tmp_path)
    assert [(one.form, one.kind, one.name) for one in listed.found] == [("adapters", "fusion", "a,b")]
    assert [Path(one.folder).name for one in listed.failed] == ["odd"]
    assert "no equal here" in listed.failed[0].reason


def test_a_folder_without_anything(tmp_path: Path) -> None:
    assert catalogue(tmp_path).found == ()
    with pytest.raises(CheckpointError, match="no adapter"):
        facts_of(tmp_path)
    with pytest.raises(CheckpointError, match="expected a folder"):
        catalogue(tmp_path / "nowhere")
