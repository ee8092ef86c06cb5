"""A user's way with saved adapters: list and show them, and take them to the adapters library and back."""

from pathlib import Path

import pytest

from polyglance.adapters.checkpoint import save_adapter, save_fusion
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from tests.cli.command import polyglance
from tests.journeys.test_command_line import assert_refused
from tests.shared_data import shared_data


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `vqa`, `both` and `broken`."""
    folder = tmp_path_factory.mktemp("user") / "my-adapters"
    save_adapter(Adapter(AdapterConfig(reduction_factor=4), 32, 3), folder / "vqa", "v\x1bqa")
    save_fusion(FusionWeights(["verify", "count"], 1, 32, 3), folder / "both")
    save_adapter(Adapter(AdapterConfig(shared=True), 32, 3), folder / "broken", "broken")
    (folder / "broken" / "adapter.json").write_text("{}")
    return folder


def test_list(saved: Path) -> None:
    ended = polyglance("adapters", "list", saved, "--json")
    assert (ended.status, ended.errors) == (0, "")
    assert [(one["kind"], one["name"]) for one in ended.json["found"]] == [
        ("fusion", "verify,count"),
        ("adapter", "v\x1bqa"),
    ]
    assert [set(one) for one in ended.json["failed"]] == [{"folder", "reason"}]
    shown = polyglance("adapters", "list", "my-adapters", cwd=saved.parent)
    assert "verify,count" in shown.output
    assert "failed: my-adapters/broken" in shown.output
    assert "\x1b" not in shown.output


def test_show(saved: Path) -> None:
    ended = polyglance("adapters", "show", saved / "vqa", "--json")
    assert ended.json["settings"]["reduction_factor"] == 4
    shown = polyglance("adapters", "show", saved / "vqa").output
    assert ended.json["fingerprint"] in shown
    assert "pfeiffer" in shown
    assert "verify" in polyglance("adapters", "show", saved / "both").output


def test_convert_there_and_back(saved: Path, tmp_path: Path) -> None:
    for name, kind in (("vqa", "adapter"), ("both", "fusion")):
        there, back = tmp_path / name / "there", tmp_path / name / "back"
        ended = polyglance("adapters", "convert", saved / name, there, "--json")
        assert (ended.status, ended.json) == (
            0,
            {"kind": kind, "form": "adapters", "left_out": [], "folder": str(there)},
        )
        assert f"{kind} for polyglance" in polyglance("adapters", "convert", there, back).output
        before, after = (polyglance("adapters", "show", folder, "--json").json for folder in (saved / name, back))
        assert before["fingerprint"] == after["fingerprint"]


def test_a_head_that_is_not_converted_is_named(tmp_path: Path) -> None:
    shown = polyglance("adapters", "convert", shared_data() / "cases" / "adapter_with_head", tmp_path / "sst-2")
    assert "not converted" in shown.output
    assert "head_config.json, model_head.safetensors" in shown.output


def test_what_cannot_be_done_is_one_line(saved: Path, tmp_path: Path) -> None:
    assert_refused(polyglance("adapters", "list", tmp_path / "nowhere"), "nowhere")
    assert_refused(polyglance("adapters", "show", tmp_path), "adapter.json")
    assert_refused(polyglance("adapters", "convert", saved / "broken", tmp_path / "target"), "broken", "format")
    assert_refused(polyglance("adapters", "convert", saved / "vqa", saved), "a new or an empty folder")
    assert list(tmp_path.iterdir()) == []
