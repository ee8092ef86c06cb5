import os
from pathlib import Path

import pytest
import torch

from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.checkpoint import save_adapter
from polyglance.adapters.composition import Fusion, Leaf
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.adapters.source import AdapterShape
from polyglance.errors import CheckpointError, ConfigurationError

WIDTH, LAYERS = 8, 2
CONFIG = AdapterConfig(reduction_factor=4)
SHAPE = AdapterShape.of(CONFIG, WIDTH)


def adapter(config: AdapterConfig = CONFIG, width: int = WIDTH, layers: int = LAYERS) -> Adapter:
    return Adapter(config, width, layers)


def weights(bank: AdapterBank, name: str) -> torch.Tensor:
    slot = bank.slots([name])[name]
    return bank.bottlenecks(SHAPE, 1, "feed_forward").down[slot].clone()


def test_the_least_recently_used_leave_when_there_is_no_room(tmp_path: Path) -> None:
    bank = AdapterBank(WIDTH, LAYERS, resident=3)
    made = [adapter() for _ in range(20)]
    for number, one in enumerate(made):
        save_adapter(one, tmp_path / str(number), str(number))
        bank.add(str(number), tmp_path / str(number))
    assert bank.resident_names == ()
    for number in (0, 1, 2, 0, 7):
        torch.testing.assert_close(weights(bank, str(number)), made[number].down[1, 0])
    assert bank.resident_names == ("2", "0", "7")
    for number, one in enumerate(made):
        torch.testing.assert_close(weights(bank, str(number)), one.down[1, 0])
    assert len(bank.bottlenecks(SHAPE, 0, "feed_forward").down) == 3


def test_a_thousand_adapters_take_the_memory_of_those_resident(tmp_path: Path) -> None:
    save_adapter(adapter(), tmp_path, "one")
    bank = AdapterBank(WIDTH, LAYERS, resident=4)
    for number in range(1000):
        bank.add(str(number), tmp_path)
    for number in range(0, 1000, 50):
        bank.slots([str(number), str(number + 1)])
    assert len(bank.names) == 1000
    assert len(bank.resident_names) == len(bank.bottlenecks(SHAPE, 0, "feed_forward").down) == 4


def test_adding_removing_and_replacing_leave_the_others_as_they_were() -> None:
    bank = AdapterBank(WIDTH, LAYERS)
    for name in "abc":
        bank.add(name, adapter())
    before = {name: weights(bank, name) for name in "abc"}
    bank.add("b", adapter(AdapterConfig("houlsby", reduction_factor=2)))
    bank.add("d", adapter())
    bank.remove("a")
    bank.slots(["b", "d"])
    torch.testing.assert_close(weights(bank, "c"), before["c"])
    assert bank.names == ("b", "c", "d")
    replaced = adapter()
    bank.add("c", replaced)
    torch.testing.assert_close(weights(bank, "c"), replaced.down[1, 0])


def test_pinned_adapters_stay(tmp_path: Path) -> None:
    bank = AdapterBank(WIDTH, LAYERS, resident=2)
    for name in "abc":
        bank.add(name, adapter())
    bank.pin("a")
    bank.slots(["b"])
    bank.slots(["c"])
    assert bank.resident_names == ("a", "c")
    bank.pin("c")
    with pytest.raises(ConfigurationError, match="at most 2 resident adapters, got 1 for one batch beside 2 that are"):
        bank.slots(["b"])
    assert bank.resident_names == ("a", "c")
    bank.unpin("a")
    assert bank.slots(["b"])
    with pytest.raises(ConfigurationError, match="got 3 for one batch"):
        bank.slots(["a", "b", "c"])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (adapter(width=12), "2 layers of width 8, got 'x' for 2 of width 12"),
        (adapter(layers=3), "2 layers of width 8, got 'x' for 3 of width 8"),
    ],
)
def test_an_adapter_of_another_body_is_refused(wrong: Adapter, reason: str) -> None:
    bank = AdapterBank(WIDTH, LAYERS)
    with pytest.raises(ConfigurationError, match=reason):
        bank.add("x", wrong)
    assert bank.names == ()


def test_a_folder_that_does_not_fit_leaves_the_bank_as_it_was(tmp_path: Path) -> None:
    bank = AdapterBank(WIDTH, LAYERS)
    kept = adapter()
    bank.add("x", kept)
    save_adapter(adapter(width=12), tmp_path, "x")
    with pytest.raises(CheckpointError, match="width 12"):
        bank.add("x", tmp_path)
    torch.testing.assert_close(weights(bank, "x"), kept.down[1, 0])


def test_a_folder_that_was_trained_anew_is_refused_until_it_is_added_again(tmp_path: Path) -> None:
    bank = AdapterBank(WIDTH, LAYERS)
    save_adapter(adapter(), tmp_path, "x")
    bank.add("x", tmp_path)
    anew = adapter(AdapterConfig(reduction_factor=4, scaling=3.0))
    save_adapter(anew, tmp_path, "x")
    with pytest.raises(CheckpointError, match=r"another adapter than when 'x' was added .*: add it again"):
        weights(bank, "x")
    bank.add("x", tmp_path)
    torch.testing.assert_close(weights(bank, "x"), anew.down[1, 0])


def test_the_adapter_that_was_added_last_is_not_read_again(tmp_path: Path) -> None:
    bank, added = AdapterBank(WIDTH, LAYERS, resident=1), adapter()
    save_adapter(added, tmp_path / "x", "x")
    bank.add("x", tmp_path / "x")
    path = tmp_path / "x" / "adapter.safetensors"
    file = path.stat()
    with path.open("r+b") as torn:
        torn.truncate(0)
        torn.truncate(file.st_size)
    os.utime(path, ns=(file.st_atime_ns, file.st_mtime_ns))  # only a read would tell
    torch.testing.assert_close(weights(bank, "x"), added.down[1, 0])
    bank.add("y", adapter())
    bank.slots(["y"])
    with pytest.raises(CheckpointError, match=r"adapter\.safetensors cannot be used"):
        bank.slots(["x"])


def test_a_fusion_must_fit_its_adapters() -> None:
    bank = AdapterBank(WIDTH, LAYERS)
    bank.add("a", adapter())
    bank.add("h", adapter(AdapterConfig("houlsby", reduction_factor=4)))
    with pytest.raises(ConfigurationError, match="no adapter 'b'"):
        bank.add_fusion(FusionWeights(("a", "b"), 1, WIDTH, LAYERS))
    with pytest.raises(ConfigurationError, match="one placement, activation and bottleneck"):
        bank.add_fusion(FusionWeights(("a", "h"), 1, WIDTH, LAYERS))
    with pytest.raises(ConfigurationError, match="2 layers of width 8, got one for 3 of width 8"):
        bank.add_fusion(FusionWeights(("a",), 1, WIDTH, 3))


def test_a_fusion_goes_with_its_adapters_and_follows_them() -> None:
    bank = AdapterBank(WIDTH, LAYERS)
    bank.add("a", adapter())
    bank.add("b", adapter())
    bank.add_fusion(FusionWeights(("a", "b"), 1, WIDTH, LAYERS))
    fusion = Fusion(("a", "b"), (Leaf("a"), Leaf("b")))
    before = bank.folded(fusion, 0, "feed_forward")
    assert bank.folded(fusion, 0, "feed_forward") is before
    bank.add("b", adapter())
    assert not torch.equal(bank.folded(fusion, 0, "feed_forward").inward, before.inward)
    bank.remove("b")
    with pytest.raises(ConfigurationError, match="no fusion of a, b was learned; none was added"):
        bank.folded(fusion, 0, "feed_forward")


def test_a_bank_without_room_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="room for one"):
        AdapterBank(WIDTH, LAYERS, resident=0)
