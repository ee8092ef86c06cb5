"""The schemas of the JSON descriptions of trained tasks and added languages."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from polyglance.data.forms import Description, Text


def _depth(value: object) -> object:
    if value != "robust" and (type(value) is not int or value < 0):
        raise ValueError(f"expected depth to be a layer's number or 'robust', got {value!r}")
    return value


class TaskDescription(Description):
    """The schema of `task.json`.

    depth: the number of the lowest layers without an adapter; `robust` for a task that was trained for any depth.
    """

    name: Text
    kind: Literal["adapter", "fusion", "folded"]
    model: Text
    fingerprint: Text
    labels: Annotated[list[str], Field(min_length=1)]
    depth: Annotated[int | Literal["robust"], BeforeValidator(_depth)]
    scores: dict[str, Any]


class LanguageDescription(Description):
    """The schema of `language.json`.

    vocabulary: the number of the language's own subwords; None if it uses the model's.
    """

    code: Text
    model: Text
    fingerprint: Text
    vocabulary: int | None
    scores: dict[str, Any]
