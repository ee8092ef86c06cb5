import pytest

from polyglance.adapters.config import AdapterConfig
from polyglance.errors import ConfigurationError


def test_a_configuration_comes_back_from_its_dictionary() -> None:
    config = AdapterConfig("houlsby", reduction_factor=8, activation="silu", depth=3, modality="image", invertible=True)
    assert AdapterConfig.from_dict(config.to_dict()) == config


def test_the_bottleneck_is_never_empty() -> None:
    assert AdapterConfig(reduction_factor=16).bottleneck(768) == 48
    assert AdapterConfig(reduction_factor=1000).bottleneck(768) == 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"reduction": 4}, "no setting 'reduction'; known are placement, reduction_factor"),
        ({"placement": "lora"}, "placement to be one of 'pfeiffer', 'houlsby', 'parallel', got 'lora'"),
        ({"activation": "tanh"}, "activation to be one of"),
        ({"modality": "sound"}, "modality to be one of 'text', 'image', None"),
        ({"reduction_factor": 0}, "reduction_factor above 0, got 0"),
        ({"reduction_factor": "16"}, "number as reduction_factor, got '16'"),
        ({"scaling": float("nan")}, "number as scaling, got nan"),
        ({"depth": -1}, "depth of 0 or more, got -1"),
        ({"depth": 1.5}, "number as depth, got 1.5"),
        ({"shared": "yes"}, "shared to be one of True, False, got 'yes'"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(settings: dict, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        AdapterConfig.from_dict(settings)
