"""Declared models of the descriptions that stand beside the weights of saved adapters and fusions."""

from typing import Any

from polyglance.data.forms import Count, Description, Text


class AdapterDescription(Description):
    """`adapter.json`. config: the fields of an `AdapterConfig`."""

    name: Text
    width: Count
    layers: Count
    config: dict[str, Any]


class FusionDescription(Description):
    """`fusion.json`. names: the fused adapters. kept: the names that each layer keeps."""

    names: list[Text]
    places: Count
    width: Count
    layers: Count
    kept: list[list[str]]


class FoldedDescription(Description):
    """`folded.json`. adapters: by name, the fields of each one's `AdapterConfig`. kept: as in `FusionDescription`."""

    adapters: dict[Text, dict[str, Any]]
    width: Count
    layers: Count
    kept: list[list[str]]
